import { createHash } from 'node:crypto'
import t from 'tap'
import type { Pool } from 'pg'
import { accepted, settleOne } from '../../log/support.ts'
import { database } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import {
  connectThroughProxy,
  startService,
  store,
  storeDeadLetters,
  storeInDoubt,
  type Service,
} from '../service.ts'
import { dataOf, graphql, refusalOf } from './graphql.ts'

const result = `__typename
  ... on Replayed { transactionId version repeated message { status version errorMessage retryCount } }
  ... on ReplayRefusal { transactionId text }
  ... on NotReplayable { status deadLetterCause message { version } }`

const one = `mutation ($id: ID!, $reason: String!, $key: String) {
  replay(transactionId: $id, reason: $reason, idempotencyKey: $key) { ${result} }
}`
const many = `mutation ($ids: [ID!]!, $reason: String!, $key: String) {
  replayMany(transactionIds: $ids, reason: $reason, idempotencyKey: $key) { ${result} }
}`

type Result = Record<string, unknown> & { __typename: string }

async function replay(
  service: Service,
  id: string,
  reason = 'mended',
  key: string | null = null,
): Promise<Result> {
  return (await dataOf<{ replay: Result }>(service, one, { id, reason, key })).replay
}

async function replayMany(service: Service, ids: string[], reason = 'mended', key: string | null = null) {
  return (await dataOf<{ replayMany: Result[] }>(service, many, { ids, reason, key })).replayMany
}

/**
 * Requests at once, all of which were answered. The API waits 3 s for the database, so on a busy machine some may not be: then what comes
 * next is a round on other messages.
 *
 * @param ask the requests of a round, whose number the names of its messages have
 */
async function askAtOnce<Answer>(
  ask: (nth: number) => Promise<Promise<Answer>[]>,
): Promise<{ nth: number; answers: Answer[] }> {
  let nth = 0
  let answers: Answer[] = []
  await until('all requests of a round to be answered', async () => {
    nth += 1
    const requests = await ask(nth)
    // All of them are over before the next round.
    await Promise.allSettled(requests)
    answers = await Promise.all(requests)
    return true
  })
  return { nth, answers }
}

async function readReplays(pool: Pool, transactionId?: string) {
  const { rows } = await pool.query<{ actor: string; reason: string; request_key: string | null }>(
    `select e.actor, e.reason, e.request_key from message_events e join messages m using (message_id)
     where e.type = 'replayed' and coalesce(m.transaction_id = $1, true) order by e.message_id, e.version`,
    [transactionId ?? null],
  )
  return rows
}

t.test('past the window of its key a replay must be confirmed, and the event keeps that', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool, undefined, undefined, { keyWindowMs: 1 })
  await storeInDoubt(pool, 'tx-1')
  await storeDeadLetters(pool, ['tx-2'])
  const many = (confirm: boolean) => `mutation {
    replayMany(transactionIds: ["tx-1", "tx-2"], reason: "asked the bank", confirmNotCarriedOut: ${confirm}) {
      __typename ... on ReplayRefusal { text } ... on KeyWindowPassed { endedAt message { status deadLetterCause } }
    }
  }`
  t.match(await dataOf(service, many(false)), {
    replayMany: [
      {
        __typename: 'KeyWindowPassed',
        text: /^Transaction tx-1 may have been carried out, .* replay it with confirmNotCarriedOut\.$/,
        endedAt: /Z$/,
        message: { status: 'DEAD_LETTER', deadLetterCause: 'OUTCOME_UNKNOWN' },
      },
      { __typename: 'Replayed' },
    ],
  })
  t.match(await dataOf(service, many(true)), { replayMany: [{ __typename: 'Replayed' }, {}] })
  const history = '{ message(transactionId: "tx-1") { history { type confirmedNotCarriedOut } } }'
  const { message } = await dataOf<{ message: { history: { confirmedNotCarriedOut: boolean | null }[] } }>(
    service,
    history,
  )
  t.strictSame(
    message.history.filter(({ confirmedNotCarriedOut }) => confirmedNotCarriedOut !== null),
    [{ type: 'REPLAYED', confirmedNotCarriedOut: true }],
  )
})

t.test('a dead letter is pending again, and who and why is in its log', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await storeDeadLetters(pool, ['tx-1'])
  const reason = '<script>alert("limit")</script> & ‘ünï’'
  t.match(await replay(service, 'tx-1', reason, 'k-1'), {
    __typename: 'Replayed',
    transactionId: 'tx-1',
    version: 5,
    repeated: false,
    message: { status: 'PENDING', version: 5, errorMessage: null, retryCount: 0 },
  })
  t.strictSame(await readReplays(pool), [{ actor: 'anonymous', reason, request_key: 'k-1' }])
  const history = '{ message(transactionId: "tx-1") { history(afterVersion: 4) { type actor reason lane } } }'
  t.strictSame(await dataOf(service, history), {
    message: { history: [{ type: 'REPLAYED', actor: 'anonymous', reason, lane: null }] },
  })
  t.match(service.lines, [
    { event: 'replay', transaction_id: 'tx-1', operator: 'anonymous', answer: 'replayed' },
  ])
})

t.test('each refusal has its type, and leaves no trace in the log', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  const [delivered] = await store(pool, ['delivered', 'open'], { room: 2 })
  await settleOne(pool, 'instance-1/fresh', delivered!.messageId, 1, accepted)
  await store(pool, ['waiting'])
  await store(pool, ['record:transactions.incoming:0:3'], { rejection: 'not JSON' })
  const { rows } = await pool.query<{ events: string }>('select count(*) as events from message_events')
  t.match(await replay(service, 'delivered'), { __typename: 'NotReplayable', status: 'SUCCESS' })
  t.match(await replay(service, 'open'), {
    __typename: 'NotReplayable',
    status: 'PROCESSING',
    deadLetterCause: null,
    message: { version: 2 },
  })
  t.match(await replay(service, 'waiting', 'x', 'k'), {
    __typename: 'NotReplayable',
    status: 'PENDING',
    text: /only a dead letter/,
  })
  t.match(await replay(service, 'record:transactions.incoming:0:3'), {
    __typename: 'NotReplayable',
    status: 'DEAD_LETTER',
    deadLetterCause: 'REJECTED_RECORD',
    text: /never be sent/,
  })
  for (const id of ['nobody', 'OPEN', "x' or ''='", '%', 'a\0b', '\ud800', 'x'.repeat(10_000)]) {
    t.match(
      await replay(service, id),
      { __typename: 'MessageNotFound', transactionId: id },
      JSON.stringify(id.slice(0, 9)),
    )
  }
  t.strictSame((await pool.query('select count(*) as events from message_events')).rows, rows)
})

t.test(
  'of twenty at once one is accepted, nineteen are refused with the type, and one event says so',
  async (t) => {
    const { pool } = await database(t)
    const service = await startService(t, pool)
    const { nth, answers } = await askAtOnce(async (nth) => {
      await storeDeadLetters(pool, [`tx-${nth}`])
      return Array.from({ length: 20 }, () => replay(service, `tx-${nth}`))
    })
    t.strictSame(answers.map((each) => each.__typename).sort(), [
      ...Array.from({ length: 19 }, () => 'NotReplayable'),
      'Replayed',
    ])
    t.equal((await readReplays(pool, `tx-${nth}`)).length, 1)
    t.equal((await readReplays(pool)).length, nth, 'nor was any accepted twice that was not answered')
  },
)

t.test(
  'a request with a key is accepted once and answered each time; a refused one may use its key again',
  async (t) => {
    const { pool } = await database(t)
    const service = await startService(t, pool)
    await store(pool, ['early'])
    t.match(await replay(service, 'early', 'mended', 'k'), { __typename: 'NotReplayable' })
    const { nth, answers } = await askAtOnce(async (nth) => {
      await storeDeadLetters(pool, [`tx-${nth}`])
      return Array.from({ length: 10 }, () => replay(service, `tx-${nth}`, 'mended', 'k'))
    })
    t.strictSame(answers.map((each) => each.repeated).sort(), [
      false,
      ...Array.from({ length: 9 }, () => true),
    ])
    t.ok(answers.every((each) => each.version === 5))
    t.match(await replay(service, `tx-${nth}`, 'another reason', 'k'), {
      __typename: 'IdempotencyKeyReused',
      text: /another reason/,
    })
    await storeDeadLetters(pool, ['another'])
    t.match(
      await replay(service, 'another', 'another reason', 'k'),
      { repeated: false },
      'a key is for one message',
    )
    t.equal((await readReplays(pool)).length, nth + 1)
  },
)

t.test('many have one result each, in order, and each stands for itself', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await storeDeadLetters(pool, ['a', 'b', 'c'])
  await store(pool, ['waiting'])
  const results = await replayMany(service, ['c', 'nobody', 'a', 'waiting', 'a\0', 'a', 'b'])
  t.match(results, [
    { __typename: 'Replayed', transactionId: 'c' },
    { __typename: 'MessageNotFound', transactionId: 'nobody' },
    { __typename: 'Replayed', transactionId: 'a' },
    { __typename: 'NotReplayable', transactionId: 'waiting' },
    { __typename: 'MessageNotFound', transactionId: 'a\0' },
    { __typename: 'NotReplayable', transactionId: 'a', status: 'PENDING' },
    { __typename: 'Replayed', transactionId: 'b' },
  ])
  t.equal((await readReplays(pool)).length, 3)
})

t.test('named twice with a key, the second is a repetition of the first', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await storeDeadLetters(pool, ['a'])
  t.match(await replayMany(service, ['a', 'a'], 'mended', 'k'), [
    { repeated: false, version: 5 },
    { repeated: true, version: 5 },
  ])
  t.equal((await readReplays(pool)).length, 1)
})

t.test('a thousand are one statement, and two requests in opposite orders never deadlock', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  const { rows } = await pool.query<{ deadlocks: string }>(
    'select deadlocks from pg_stat_database where datname = current_database()',
  )
  const short = `mutation ($ids: [ID!]!) { replayMany(transactionIds: $ids, reason: "mended") { __typename } }`
  const { nth, answers } = await askAtOnce(async (nth) => {
    const ids = Array.from({ length: 1_000 }, (_, at) => `tx-${nth}-${at}`)
    await storeDeadLetters(pool, ids)
    return Array.from({ length: 6 }, (_, at) =>
      dataOf<{ replayMany: Result[] }>(service, short, { ids: at % 2 === 0 ? ids : [...ids].reverse() }),
    )
  })
  const accepted = answers.flatMap(({ replayMany }) =>
    replayMany.filter((each) => each.__typename === 'Replayed'),
  )
  t.equal(accepted.length, 1_000)
  t.equal((await readReplays(pool)).length, nth * 1_000)
  t.strictSame(
    (await pool.query('select deadlocks from pg_stat_database where datname = current_database()')).rows,
    rows,
  )
})

t.test('what is out of bounds is refused with the fix, and nothing is replayed', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await storeDeadLetters(pool, ['tx-1'])
  const reasons = [
    '',
    ' ',
    'a\0b',
    'a\nb',
    '\u001b[31mred',
    '\ud800',
    'x'.repeat(2_049),
    'ü'.repeat(1_025),
    'x'.repeat(50_000),
  ]
  for (const reason of reasons) {
    t.match(await refusalOf(service, one, { id: 'tx-1', reason }), {
      code: 'BAD_USER_INPUT',
      message: /reason must be/,
    })
  }
  for (const key of ['', 'x'.repeat(129), 'a\nb']) {
    t.match(await refusalOf(service, one, { id: 'tx-1', reason: 'x', key }), {
      code: 'BAD_USER_INPUT',
      message: /idempotencyKey/,
    })
  }
  for (const ids of [[], Array.from({ length: 1_001 }, () => 'tx-1')]) {
    t.match(await refusalOf(service, many, { ids, reason: 'x' }), {
      code: 'BAD_USER_INPUT',
      message: /from 1 to 1000/,
    })
  }
  const large = await service.call('POST', '/graphql', {
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ query: one, variables: { id: 'tx-1', reason: 'x'.repeat(1_000_000) } }),
  })
  t.ok(large.status === 413 || large.text.includes('BAD_USER_INPUT'), 'a reason of 1 MB')
  t.strictSame(await readReplays(pool), [])
  t.match(await replay(service, 'tx-1', 'x'.repeat(2_048), 'k'.repeat(128)), { __typename: 'Replayed' })
})

t.test('a viewer may not replay; an operator does so in the name of the token', async (t) => {
  const { pool } = await database(t)
  const tokens = (['viewer', 'operator'] as const).map((role) => ({
    name: `${role}-1`,
    role,
    sha256: createHash('sha256').update(`secret-${role}`).digest('hex'),
  }))
  const service = await startService(t, pool, undefined, { tokens, open: false, introspection: true })
  await storeDeadLetters(pool, ['tx-1'])
  const variables = { id: 'tx-1', reason: 'x' }
  t.match(await refusalOf(service, one, variables, { authorization: 'Bearer secret-viewer' }), {
    code: 'FORBIDDEN',
  })
  t.strictSame(await readReplays(pool), [])
  t.match(await graphql(service, one, variables, { authorization: 'Bearer secret-operator' }), {
    data: { replay: { __typename: 'Replayed' } },
  })
  t.match(await readReplays(pool), [{ actor: 'operator-1' }])
})

t.test('a replay whose COMMIT was not answered is said to be uncertain', async (t) => {
  const { pool, url } = await database(t)
  const proxied = await connectThroughProxy(t, url)
  const service = await startService(t, proxied.pool)
  await storeDeadLetters(pool, ['tx-1'])
  await dataOf(service, '{ message(transactionId: "tx-1") { id } }')
  proxied.proxy.freeze('toClient')
  t.match(await refusalOf(service, one, { id: 'tx-1', reason: 'x' }), {
    code: 'DATABASE_UNAVAILABLE',
    message: /may have been recorded all the same/,
  })
  t.equal((await readReplays(pool)).length, 1)
  proxied.proxy.thaw()
})
