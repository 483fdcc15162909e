import { createHash } from 'node:crypto'
import t from 'tap'
import type { Pool } from 'pg'
import { accepted, record, settleOne, store as storeRecords } from '../../log/support.ts'
import { database } from '../../support/database.ts'
import { connectThroughProxy, startService, store, storeDeadLetters, type Service } from '../service.ts'
import { dataOf, graphql, refusalOf } from './graphql.ts'
import { headPasses } from '../../support/head-passes.ts'

const expunging = `mutation ($id: ID!, $reason: String!) {
  expunge(transactionId: $id, reason: $reason) {
    __typename
    ... on Expunged {
      transactionId version repeated
      message {
        status version replayable
        payload { state text json base64 bytes sha256 }
        source { key headerCount headers { name } offset }
      }
    }
    ... on ExpungeRefusal { transactionId text }
    ... on NotExpungeable { status message { version payload { state } } }
  }
}`

type Result = Record<string, unknown> & { __typename: string }

async function expunge(service: Service, id: string, reason = 'asked to be forgotten'): Promise<Result> {
  return (await dataOf<{ expunge: Result }>(service, expunging, { id, reason })).expunge
}

async function delivered(pool: Pool, id: string): Promise<void> {
  const [claim] = await store(pool, [id], { room: 1 })
  await settleOne(pool, 'instance-1/fresh', claim!.messageId, 1, accepted)
}

async function countEvents(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ events: number }>('select count(*)::int as events from message_events')
  return rows[0]!.events
}

t.test('the bytes, key and headers of a payment are gone; hash, size and history tell of it', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  const sent = record(0, 'tx-1', {
    key: Buffer.from('customer 7'),
    headers: JSON.stringify([['iban', Buffer.from('DE02').toString('base64')]]),
  })
  const { claims } = await storeRecords(pool, [sent], { room: 1 })
  await settleOne(pool, 'instance-1/fresh', claims[0]!.messageId, 1, accepted)
  t.strictSame(await expunge(service, 'tx-1'), {
    __typename: 'Expunged',
    transactionId: 'tx-1',
    version: 4,
    repeated: false,
    message: {
      status: 'SUCCESS',
      version: 4,
      replayable: false,
      payload: {
        state: 'EXPUNGED',
        text: null,
        json: null,
        base64: null,
        bytes: sent.payloadBytes,
        sha256: createHash('sha256').update(sent.payload!).digest('hex'),
      },
      source: { key: null, headerCount: 0, headers: [], offset: '0' },
    },
  })
  const history =
    '{ message(transactionId: "tx-1") { history(afterVersion: 3) { type actor reason lane status } } }'
  t.strictSame(await dataOf(service, history), {
    message: {
      history: [
        {
          type: 'EXPUNGED',
          actor: 'anonymous',
          reason: 'asked to be forgotten',
          lane: null,
          status: 'SUCCESS',
        },
      ],
    },
  })
  const events = '{ events(filter: { types: [EXPUNGED] }) { nodes { transactionId } } }'
  await headPasses(pool)
  t.strictSame(await dataOf(service, events), { events: { nodes: [{ transactionId: 'tx-1' }] } })
  t.match(service.lines, [
    { event: 'expunge', transaction_id: 'tx-1', operator: 'anonymous', answer: 'expunged' },
  ])
})

t.test('asked again it does nothing and answers with the first event', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await delivered(pool, 'tx-1')
  t.match(await expunge(service, 'tx-1'), { version: 4, repeated: false })
  t.match(await expunge(service, 'tx-1', 'another reason'), { version: 4, repeated: true })
  t.equal(await countEvents(pool), 4)
})

t.test('each refusal has its type, and leaves no trace in the log', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await store(pool, ['open', 'waiting'], { room: 1 })
  const before = await countEvents(pool)
  t.match(await expunge(service, 'open'), {
    __typename: 'NotExpungeable',
    status: 'PROCESSING',
    text: /is processing: only a success or a dead letter/,
    message: { version: 2, payload: { state: 'WHOLE' } },
  })
  t.match(await expunge(service, 'waiting'), { __typename: 'NotExpungeable', status: 'PENDING' })
  for (const id of ['nobody', 'OPEN', '%', 'a\0b', '\ud800'])
    t.match(await expunge(service, id), {
      __typename: 'MessageNotFound',
      transactionId: id,
      text: /is unknown/,
    })
  for (const reason of ['', ' ', 'a\nb', 'x'.repeat(2_049)])
    t.match(await refusalOf(service, expunging, { id: 'open', reason }), {
      code: 'BAD_USER_INPUT',
      message: /^reason must be/,
    })
  t.equal(await countEvents(pool), before)
})

t.test('an expunged dead letter is not replayable, and a replay says why', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await storeDeadLetters(pool, ['tx-1', 'tx-2'])
  const replayable = '{ messages(orderBy: CREATED_ASC) { nodes { transactionId replayable } } }'
  t.match(await expunge(service, 'tx-1'), { message: { status: 'DEAD_LETTER', replayable: false } })
  t.strictSame(await dataOf(service, replayable), {
    messages: {
      nodes: [
        { transactionId: 'tx-1', replayable: false },
        { transactionId: 'tx-2', replayable: true },
      ],
    },
  })
  const replay = `mutation { replayMany(transactionIds: ["tx-1", "tx-2"], reason: "mended") {
    __typename ... on ReplayRefusal { text } ... on NotReplayable { status deadLetterCause message { payload { state } } } } }`
  t.strictSame(await dataOf(service, replay), {
    replayMany: [
      {
        __typename: 'NotReplayable',
        text: 'The payload of tx-1 was expunged: there are no bytes to send.',
        status: 'DEAD_LETTER',
        deadLetterCause: 'REFUSED',
        message: { payload: { state: 'EXPUNGED' } },
      },
      { __typename: 'Replayed' },
    ],
  })
})

t.test('what one operation has loaded before it expunges is forgotten', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await delivered(pool, 'tx-1')
  const fields = 'message { payload { state bytes base64 } }'
  const twice = `mutation {
    before: replay(transactionId: "tx-1", reason: "x") { ... on NotReplayable { ${fields} } }
    after: expunge(transactionId: "tx-1", reason: "x") { ... on Expunged { ${fields} } }
  }`
  t.match(await dataOf(service, twice), {
    before: { message: { payload: { state: 'WHOLE', base64: String } } },
    after: { message: { payload: { state: 'EXPUNGED', base64: null } } },
  })
})

t.test('only an operator may expunge, and stands in the log by the name of the token', async (t) => {
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
  await delivered(pool, 'tx-1')
  const variables = { id: 'tx-1', reason: 'asked' }
  const as = (token: string) => graphql(service, expunging, variables, { authorization: `Bearer ${token}` })
  t.match((await as('v')).errors, [{ extensions: { code: 'FORBIDDEN' } }])
  t.equal(await countEvents(pool), 3)
  t.match((await as('o')).data, { expunge: { __typename: 'Expunged' } })
  const { rows } = await pool.query(`select actor from message_events where type = 'expunged'`)
  t.strictSame(rows, [{ actor: 'olga' }])
})

t.test('without the database it says that it may have been done, and may be asked again', async (t) => {
  const { pool, url } = await database(t)
  const { pool: through, proxy } = await connectThroughProxy(t, url)
  const service = await startService(t, through)
  await delivered(pool, 'tx-1')
  await proxy.stop()
  t.match(await refusalOf(service, expunging, { id: 'tx-1', reason: 'x' }), {
    code: 'DATABASE_UNAVAILABLE',
    message: /can safely be sent again/,
  })
})
