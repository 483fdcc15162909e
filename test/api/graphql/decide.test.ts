import { createHash } from 'node:crypto'
import type { Pool } from 'pg'
import t from 'tap'
import { logStart } from '../../../src/log/read/log-cursor.ts'
import {
  accepted,
  deadLetter,
  record,
  rejectedRecord,
  settleOne,
  store as storeRecords,
  unavailable,
} from '../../log/support.ts'
import { database } from '../../support/database.ts'
import { headPasses } from '../../support/head-passes.ts'
import { connectThroughProxy, startService, store, storeDeadLetters, type Service } from '../service.ts'
import { follow, startStreams, take } from '../stream/support.ts'
import { dataOf, graphql, refusalOf } from './graphql.ts'

const answer = `{
  __typename
  ... on Decided { transactionId version message { status held resolution replayable nextDueAt deadLetterCause } }
  ... on DecisionRefusal { transactionId text }
  ... on AlreadyStarted { attempt message { status } }
  ... on AlreadyEnded { status deadLetterCause }
  ... on AlreadyHeld { actor since reason }
  ... on NotHeld { status }
  ... on NotADeadLetter { status }
  ... on AlreadyResolved { resolution actor since reason }
}`
const mutations = {
  hold: `mutation ($id: ID!, $reason: String!) { hold(transactionId: $id, reason: $reason) ${answer} }`,
  release: `mutation ($id: ID!, $reason: String!) { release(transactionId: $id, reason: $reason) ${answer} }`,
  cancel: `mutation ($id: ID!, $reason: String!) { cancel(transactionId: $id, reason: $reason) ${answer} }`,
  resolve: `mutation ($id: ID!, $reason: String!, $as: Resolution!, $evidence: String) {
    resolve(transactionId: $id, as: $as, reason: $reason, evidence: $evidence) ${answer} }`,
  reopen: `mutation ($id: ID!, $reason: String!) { reopen(transactionId: $id, reason: $reason) ${answer} }`,
}
type Kind = keyof typeof mutations
const kinds = Object.keys(mutations) as Kind[]

type Result = Record<string, unknown> & { __typename: string }

async function decide(
  service: Service,
  kind: Kind,
  id: string,
  variables: Record<string, unknown> = {},
): Promise<Result> {
  const as = kind === 'resolve' ? { as: 'CARRIED_OUT' } : {}
  const data = await dataOf<Record<string, Result>>(service, mutations[kind], {
    id,
    reason: 'asked by the bank',
    ...as,
    ...variables,
  })
  return data[kind]!
}

async function failed(pool: Pool, id: string): Promise<void> {
  const [claim] = await store(pool, [id], { room: 1 })
  await settleOne(pool, 'instance-1/fresh', claim!.messageId, 1, unavailable, {
    then: 'retry',
    delayMs: 3_600_000,
  })
}

async function countEvents(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ events: number }>('select count(*)::int as events from message_events')
  return rows[0]!.events
}

t.test('a message is held, released and cancelled, and its history and filters tell so', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await failed(pool, 'tx-1')
  await store(pool, ['tx-2'])
  t.match(await decide(service, 'hold', 'tx-1'), {
    __typename: 'Decided',
    transactionId: 'tx-1',
    version: 4,
    message: { status: 'FAILED', held: true, nextDueAt: null, replayable: false },
  })
  const held =
    '{ messages(filter: { held: true }) { nodes { transactionId } totalCount { value exact } } metrics { held } }'
  t.strictSame(await dataOf(service, held), {
    messages: { nodes: [{ transactionId: 'tx-1' }], totalCount: { value: '1', exact: true } },
    metrics: { held: '1' },
  })
  t.match(await decide(service, 'release', 'tx-1', { reason: 'cleared' }), {
    __typename: 'Decided',
    version: 5,
    message: { status: 'FAILED', held: false, nextDueAt: String },
  })
  t.match(await decide(service, 'cancel', 'tx-1'), {
    __typename: 'Decided',
    version: 6,
    message: {
      status: 'DEAD_LETTER',
      held: false,
      deadLetterCause: 'CANCELLED',
      replayable: true,
      nextDueAt: null,
    },
  })
  const history =
    '{ message(transactionId: "tx-1") { history(afterVersion: 3) { type actor lane reason status nextDueAt } } }'
  t.match(await dataOf(service, history), {
    message: {
      history: [
        {
          type: 'HELD',
          actor: 'anonymous',
          lane: null,
          reason: 'asked by the bank',
          status: 'FAILED',
          nextDueAt: null,
        },
        { type: 'RELEASED', reason: 'cleared', status: 'FAILED', nextDueAt: String },
        { type: 'CANCELLED', reason: 'asked by the bank', status: 'DEAD_LETTER', nextDueAt: null },
      ],
    },
  })
  const cancelled = '{ messages(filter: { deadLetterCause: [CANCELLED] }) { nodes { transactionId } } }'
  t.strictSame(await dataOf(service, cancelled), { messages: { nodes: [{ transactionId: 'tx-1' }] } })
  t.match(
    service.lines.map(({ event, decision, answer: told, operator }) => ({ event, decision, told, operator })),
    ['hold', 'release', 'cancel'].map((decision) => ({
      event: 'decision',
      decision,
      told: 'decided',
      operator: 'anonymous',
    })),
  )
})

t.test('a dead letter is resolved, and open ones are counted apart until none is left', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await storeDeadLetters(pool, ['tx-1', 'tx-2'])
  await storeRecords(pool, [rejectedRecord(0, 'x', 9), record(1, 'tx-1', { bytes: 'other' })], {
    partition: 9,
  })
  const overview = `{
    metrics { counts { deadLetter } deadLetters { open resolved } }
    open: messages(filter: { resolved: false }, orderBy: CREATED_ASC) { nodes { transactionId resolution } totalCount { value exact } }
    closed: messages(filter: { resolved: true }, orderBy: CREATED_ASC) { nodes { transactionId resolution } totalCount { value exact } }
    paid: messages(filter: { resolution: [CARRIED_OUT, DUPLICATE] }) { nodes { transactionId } }
  }`
  const names = ['tx-1', 'tx-2', 'record:incoming:9:0', 'record:incoming:9:1']
  const open = (ids: string[]) => ({
    nodes: ids.map((transactionId) => ({ transactionId, resolution: null })),
    totalCount: { value: String(ids.length), exact: true },
  })
  t.match(await dataOf(service, overview), {
    metrics: { counts: { deadLetter: '4' }, deadLetters: { open: '4', resolved: '0' } },
    open: open(names),
    closed: { nodes: [], totalCount: { value: '0', exact: true } },
  })
  const as = ['CARRIED_OUT', 'NOT_CARRIED_OUT', 'IGNORED', 'DUPLICATE']
  for (const [at, id] of names.entries())
    t.match(await decide(service, 'resolve', id, { as: as[at], evidence: `ticket ${at}` }), {
      __typename: 'Decided',
      message: { status: 'DEAD_LETTER', resolution: as[at], replayable: false },
    })
  t.strictSame(await dataOf(service, overview), {
    metrics: { counts: { deadLetter: '4' }, deadLetters: { open: '0', resolved: '4' } },
    open: open([]),
    closed: {
      nodes: names.map((transactionId, at) => ({ transactionId, resolution: as[at] })),
      totalCount: { value: '4', exact: true },
    },
    paid: { nodes: [{ transactionId: names[3] }, { transactionId: names[0] }] },
  })
  const history = `query ($id: ID!) { message(transactionId: $id) { history { type reason resolution evidence } } }`
  for (const [at, id] of names.entries()) {
    const { message } = await dataOf<{ message: { history: unknown[] } }>(service, history, { id })
    t.strictSame(message.history.at(-1), {
      type: 'RESOLVED',
      reason: 'asked by the bank',
      resolution: as[at],
      evidence: `ticket ${at}`,
    })
  }
  t.match(
    (await service.call('GET', '/metrics')).json,
    { dead_letter: 4, total: 4 },
    'the founding figures stay',
  )
})

t.test(
  'a resolved dead letter and a message on hold are not replayed, and it is said who decided',
  async (t) => {
    const { pool } = await database(t)
    const service = await startService(t, pool)
    await storeDeadLetters(pool, ['tx-1'])
    await store(pool, ['tx-2'])
    await decide(service, 'resolve', 'tx-1', { as: 'DUPLICATE', reason: 'paid by hand' })
    await decide(service, 'hold', 'tx-2', { reason: 'looks odd' })
    const replay = `mutation { replayMany(transactionIds: ["tx-1", "tx-2"], reason: "mended") {
    __typename ... on ReplayRefusal { text }
    ... on AlreadyResolved { resolution actor since reason message { version } }
    ... on AlreadyHeld { actor since reason message { version } }
    ... on Replayed { version message { status } } } }`
    const since = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/
    t.match(await dataOf(service, replay), {
      replayMany: [
        {
          __typename: 'AlreadyResolved',
          text: /^Transaction tx-1 is resolved as duplicate since .*, by anonymous: paid by hand$/,
          resolution: 'DUPLICATE',
          actor: 'anonymous',
          since,
          reason: 'paid by hand',
          message: { version: 5 },
        },
        {
          __typename: 'AlreadyHeld',
          text: /^Transaction tx-2 is on hold since .*, by anonymous: looks odd$/,
          actor: 'anonymous',
          since,
          reason: 'looks odd',
          message: { version: 2 },
        },
      ],
    })
    t.match(await service.call('POST', '/replay/tx-1'), {
      status: 409,
      json: { detail: /is resolved as duplicate since/ },
    })
    t.match(await service.call('POST', '/replay/tx-2'), { status: 409, json: { detail: /is on hold since/ } })
    t.match(await decide(service, 'reopen', 'tx-1', { reason: 'not paid after all' }), {
      __typename: 'Decided',
      message: { resolution: null, replayable: true },
    })
    t.match(await dataOf(service, replay), {
      replayMany: [
        { __typename: 'Replayed', version: 7, message: { status: 'PENDING' } },
        { __typename: 'AlreadyHeld' },
      ],
    })
  },
)

t.test('each refusal has its type and a sentence, and leaves no trace in the log', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  const [open] = await store(pool, ['open', 'waiting'], { room: 1 })
  await storeDeadLetters(pool, ['letter', 'closed'])
  const [done] = await store(pool, ['done'], { room: 1 })
  await settleOne(pool, 'instance-1/fresh', done!.messageId, 1, accepted)
  await store(pool, ['held'])
  await decide(service, 'hold', 'held', { reason: 'looks odd' })
  await decide(service, 'resolve', 'closed', { as: 'IGNORED' })
  await decide(service, 'cancel', 'waiting')
  const before = await countEvents(pool)
  t.equal(open!.attempt, 1)
  for (const kind of ['hold', 'cancel'] as const) {
    t.match(await decide(service, kind, 'open'), {
      __typename: 'AlreadyStarted',
      attempt: 1,
      text: /^Attempt 1 of open is open/,
      message: { status: 'PROCESSING' },
    })
    t.match(await decide(service, kind, 'done'), {
      __typename: 'AlreadyEnded',
      status: 'SUCCESS',
      deadLetterCause: null,
    })
    t.match(await decide(service, kind, 'waiting'), {
      __typename: 'AlreadyEnded',
      status: 'DEAD_LETTER',
      deadLetterCause: 'CANCELLED',
    })
  }
  t.match(await decide(service, 'hold', 'held'), {
    __typename: 'AlreadyHeld',
    actor: 'anonymous',
    reason: 'looks odd',
  })
  t.match(await decide(service, 'release', 'letter'), { __typename: 'NotHeld', status: 'DEAD_LETTER' })
  t.match(await decide(service, 'resolve', 'held'), { __typename: 'NotADeadLetter', status: 'PENDING' })
  t.match(await decide(service, 'reopen', 'open'), { __typename: 'NotADeadLetter', status: 'PROCESSING' })
  t.match(await decide(service, 'resolve', 'closed'), {
    __typename: 'AlreadyResolved',
    resolution: 'IGNORED',
  })
  t.match(await decide(service, 'reopen', 'letter'), { __typename: 'NotResolved', text: /open already/ })
  for (const kind of kinds)
    for (const id of ['nobody', 'OPEN', '%', 'a\0b', '\ud800'])
      t.match(await decide(service, kind, id), {
        __typename: 'MessageNotFound',
        transactionId: id,
        text: /is unknown/,
      })
  const bad = ['', ' ', 'a\nb', 'x'.repeat(2_049)]
  for (const reason of bad)
    for (const kind of kinds)
      t.match(await refusalOf(service, mutations[kind], { id: 'letter', reason, as: 'IGNORED' }), {
        code: 'BAD_USER_INPUT',
        message: /^reason must be/,
      })
  for (const evidence of bad)
    t.match(
      await refusalOf(service, mutations.resolve, { id: 'letter', reason: 'x', as: 'IGNORED', evidence }),
      {
        code: 'BAD_USER_INPUT',
        message: /^evidence must be/,
      },
    )
  t.equal(await countEvents(pool), before)
})

t.test('asOf tells what was on hold and what was resolved at that instant', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await store(pool, ['tx-1'])
  for (const kind of ['hold', 'release', 'hold', 'cancel', 'resolve', 'reopen'] as const)
    t.match(await decide(service, kind, 'tx-1'), { __typename: 'Decided' })
  const history = '{ message(transactionId: "tx-1") { history { recordedAt } } }'
  const { message } = await dataOf<{ message: { history: { recordedAt: string }[] } }>(service, history)
  const states = message.history.map(
    ({ recordedAt }, at) =>
      `v${at + 1}: asOf(time: "${recordedAt}") { version status held resolution nextDueAt }`,
  )
  const { message: then } = await dataOf<{ message: Record<string, Record<string, unknown>> }>(
    service,
    `{ message(transactionId: "tx-1") { ${states.join(' ')} } }`,
  )
  t.strictSame(
    Object.values(then).map(({ status, held, resolution, nextDueAt }) => [
      status,
      held,
      resolution,
      nextDueAt !== null,
    ]),
    [
      ['PENDING', false, null, true],
      ['PENDING', true, null, false],
      ['PENDING', false, null, true],
      ['PENDING', true, null, false],
      ['DEAD_LETTER', false, null, false],
      ['DEAD_LETTER', false, 'CARRIED_OUT', false],
      ['DEAD_LETTER', false, null, false],
    ],
  )
})

t.test('subscribers and readers of events get decisions with what they say', async (t) => {
  const given = await database(t)
  const service = await startService(t, given.pool)
  const streams = await startStreams(t, given)
  await storeDeadLetters(given.pool, ['tx-1'])
  await decide(service, 'resolve', 'tx-1', { as: 'DUPLICATE', evidence: 'ticket 7' })
  const told = {
    type: 'resolved',
    resolution: 'duplicate',
    evidence: 'ticket 7',
    reason: 'asked by the bank',
  }
  const [live] = await take(follow(streams, { after: logStart, filter: { types: ['resolved'] } }), 1)
  t.match(live?.event, told)
  await headPasses(given.pool)
  const events =
    '{ events(filter: { types: [RESOLVED, REOPENED] }) { nodes { transactionId resolution evidence } } }'
  t.strictSame(await dataOf(service, events), {
    events: { nodes: [{ transactionId: 'tx-1', resolution: 'DUPLICATE', evidence: 'ticket 7' }] },
  })
})

t.test('only an operator may decide, and stands in the log by the name of the token', async (t) => {
  const { pool } = await database(t)
  const hash = (token: string) => createHash('sha256').update(token).digest('hex')
  const service = await startService(t, pool, undefined, {
    tokens: [
      { name: 'victor', role: 'viewer', sha256: hash('v') },
      { name: 'olga', role: 'operator', sha256: hash('o') },
    ] as never,
    open: false,
    introspection: true,
  })
  await store(pool, ['tx-1'])
  const as = (token: string, kind: Kind) =>
    graphql(
      service,
      mutations[kind],
      { id: 'tx-1', reason: 'why', as: 'IGNORED' },
      { authorization: `Bearer ${token}` },
    )
  for (const kind of kinds) t.match((await as('v', kind)).errors, [{ extensions: { code: 'FORBIDDEN' } }])
  t.equal(await countEvents(pool), 1)
  for (const kind of ['hold', 'release', 'cancel', 'resolve', 'reopen'] as const)
    t.match((await as('o', kind)).data, { [kind]: { __typename: 'Decided' } })
  const { rows } = await pool.query<{ type: string; actor: string }>(
    'select type, actor from message_events where version > 1 order by version',
  )
  t.strictSame(
    rows,
    ['held', 'released', 'cancelled', 'resolved', 'reopened'].map((type) => ({ type, actor: 'olga' })),
  )
})

t.test('without the database it says that it may have been recorded all the same', async (t) => {
  const { pool, url } = await database(t)
  const { pool: through, proxy } = await connectThroughProxy(t, url)
  const service = await startService(t, through)
  await store(pool, ['tx-1'])
  await proxy.stop()
  t.match(await refusalOf(service, mutations.hold, { id: 'tx-1', reason: 'x' }), {
    code: 'DATABASE_UNAVAILABLE',
    message: /may have been recorded all the same: look at the message first/,
  })
  t.match(service.lines, [{ event: 'decision failed', transaction_id: 'tx-1', decision: 'hold' }])
})

t.test('what one operation has loaded before it decides is forgotten', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  const [claim] = await store(pool, ['tx-1'], { room: 1 })
  await settleOne(pool, 'instance-1/fresh', claim!.messageId, 1, unavailable, deadLetter)
  const twice = `mutation {
    before: resolve(transactionId: "tx-1", as: IGNORED, reason: "x") { ... on Decided { message { resolution } } }
    after: reopen(transactionId: "tx-1", reason: "x") { ... on Decided { message { resolution } } }
  }`
  t.strictSame(await dataOf(service, twice), {
    before: { message: { resolution: 'IGNORED' } },
    after: { message: { resolution: null } },
  })
})
