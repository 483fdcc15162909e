import { createHash } from 'node:crypto'
import { createClient as createSseClient } from 'graphql-sse'
import { createClient as createWsClient } from 'graphql-ws'
import type { Pool } from 'pg'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import {
  accepted,
  deadLetter,
  fresh,
  record,
  refused,
  rejectedRecord,
  settle,
  settlement,
  store,
  topic,
} from '../../log/support.ts'
import { archiveAll } from '../../support/archive.ts'
import { database } from '../../support/database.ts'
import { headPasses } from '../../support/head-passes.ts'
import { makeSmallSegments } from '../../support/segments.ts'
import { until } from '../../support/until.ts'
import { startService, well, type Service } from '../service.ts'
import { hearEvents } from '../stream/support.ts'
import { clients } from './clients.ts'
import { dataOf, graphql, type GraphqlAnswer } from './graphql.ts'

const token = 'olga-secret'
const access = {
  tokens: [
    { name: 'olga', role: 'operator', sha256: createHash('sha256').update(token).digest('hex') },
  ] as const,
  open: false,
  introspection: true,
}
const archive = 'segment-000001-messages-1-10'
const partition = 7

type Given = Service & { pool: Pool; url: string; archiveNow: () => Promise<string[]> }

/**
 * Offsets 0 to 9 are messages 1 to 10, all terminal: `tx-0` to `tx-6` are successes, `tx-7` a dead letter, then a rejected record and one
 * that conflicts with `tx-0`. Offset 10 is a duplicate of `tx-1`. Message 12 and those after it are pending.
 */
async function fill(t: Test, open = true): Promise<Given> {
  const { url, pool } = await database(t)
  await makeSmallSegments(pool, 10)
  const service = await startService(t, pool, () => well, open ? undefined : access)
  const heard = await hearEvents(t, url)
  t.teardown(heard.on(() => service.events.give()))
  const records = Array.from({ length: 8 }, (_, at) => record(at, `tx-${at}`))
  records.push(rejectedRecord(8, 'nonsense', partition), record(9, 'tx-0', { bytes: 'other' }))
  const { claims } = await store(pool, records, { partition, room: 8 })
  await settle(
    pool,
    fresh,
    claims.map(({ messageId }, at) =>
      at === 7 ? settlement(messageId, 1, refused, deadLetter) : settlement(messageId, 1, accepted),
    ),
  )
  await store(
    pool,
    [record(10, 'tx-1'), ...Array.from({ length: 9 }, (_, at) => record(11 + at, `open-${at}`))],
    { partition },
  )
  const to = t.testdir()
  // An event above the watermark counts as appended meanwhile, and the transactions of others hold it back.
  await headPasses(pool)
  return { ...service, pool, url, archiveNow: () => archiveAll(url, to) }
}

function isArchived(t: Test, answer: GraphqlAnswer, field: string, messageId: string): void {
  t.strictSame(answer.data, { [field]: null })
  t.match(answer.errors, [
    {
      message: `Message ${messageId} is archived: look for its id in ${archive}.`,
      path: [field],
      extensions: { code: 'ARCHIVED', archive, messageId, archivedAt: /^\d{4}-.*\.\d{6}Z$/ },
    },
  ])
  t.equal(answer.errors?.length, 1)
}

const recordQuery = `query ($offset: BigInt!, $partition: Int! = ${partition}) {
  record(topic: "${topic}", partition: $partition, offset: $offset) { transactionId type }
}`

t.test(
  'an archived message is told from one that was never seen, with the name of its archive',
  async (t) => {
    const given = await fill(t)
    const ask = (query: string, variables = {}) => graphql(given, query, variables)
    t.match(await ask('{ message(transactionId: "tx-1") { status history { type } } }'), {
      data: { message: { status: 'SUCCESS', history: [{}, {}, {}, { type: 'DUPLICATE_RECEIVED' }] } },
    })
    t.strictSame(await given.archiveNow(), [archive])

    const questions = [
      '{ message(transactionId: "tx-1") { status } }',
      '{ message(transactionId: "tx-1") { history { type } } }',
      '{ message(transactionId: "tx-1") { asOf(time: "2100-01-01T00:00:00Z") { status } } }',
    ]
    for (const question of questions) isArchived(t, await ask(question), 'message', '2')
    isArchived(
      t,
      await ask(`{ message(transactionId: "record:${topic}:${partition}:9") { id } }`),
      'message',
      '10',
    )
    isArchived(t, await ask('{ node(id: "2") { id } }'), 'node', '2')
    isArchived(t, await ask('{ node(id: "2:3") { id } }'), 'node', '2')

    t.strictSame(await ask('{ message(transactionId: "tx-never") { status } }'), { data: { message: null } })
    t.strictSame(await ask('{ node(id: "999") { id } }'), { data: { node: null } })
    t.match(
      await ask(
        '{ a: message(transactionId: "open-0") { status } b: message(transactionId: "tx-1") { status } }',
      ),
      {
        data: { a: { status: 'PENDING' }, b: null },
        errors: [{ path: ['b'], extensions: { code: 'ARCHIVED' } }],
      },
    )
    t.match(
      await ask(
        '{ a: archived(transactionId: "tx-1") { archive messageId } b: archived(transactionId: "open-0") { archive } }',
      ),
      {
        data: { a: { archive, messageId: '2' }, b: null },
      },
    )
  },
)

t.test('a Kafka record whose event is archived is told from one that was not consumed', async (t) => {
  const given = await fill(t)
  await given.archiveNow()
  const ask = (offset: number, more = {}) => graphql(given, recordQuery, { offset, ...more })
  for (const offset of [0, 7, 8, 9]) {
    t.match(await ask(offset), {
      data: { record: null },
      errors: [
        {
          message: `The event of this record is archived in ${archive}.`,
          path: ['record'],
          extensions: { code: 'ARCHIVED', archive, archives: [archive] },
        },
      ],
    })
  }
  // The event of a duplicate is in the archive of its message, although its slice is of a later segment.
  t.match(await ask(10), { errors: [{ extensions: { code: 'ARCHIVED', archive } }] })
  t.match(await ask(11), { data: { record: { transactionId: 'open-0', type: 'RECEIVED' } } })
  t.strictSame(await ask(20), { data: { record: null } })
  t.strictSame(await ask(0, { partition: 8 }), { data: { record: null } })

  await store(given.pool, [record(20, 'tx-2'), record(21, 'tx-2', { bytes: 'other' })], { partition })
  t.match(await ask(20), { errors: [{ extensions: { code: 'ARCHIVED', archive } }] })
  t.match(await ask(21), {
    data: { record: { transactionId: `record:${topic}:${partition}:21`, type: 'CONFLICT_RECEIVED' } },
  })
  await given.pool.query(
    `insert into partition_holes select partition_id, 0, 1, now(), 'a test' from partitions where partition = ${partition}`,
  )
  t.strictSame(await ask(0), { data: { record: null } }, 'a hole was never a record')
})

t.test(
  'an archived message is not replayed and not expunged, and each answer names the archive',
  async (t) => {
    const given = await fill(t)
    await given.archiveNow()
    const refusal = `__typename ... on MessageArchived { transactionId text archived { archive messageId } }`
    const archived = {
      __typename: 'MessageArchived',
      transactionId: 'tx-7',
      text: `Transaction tx-7 is archived in ${archive}, and its bytes too: it takes no more events.`,
      archived: { archive, messageId: '8' },
    }
    t.strictSame(
      await dataOf(given, `mutation { replay(transactionId: "tx-7", reason: "mended") { ${refusal} } }`),
      { replay: archived },
    )
    t.strictSame(
      await dataOf(
        given,
        `mutation { replayMany(transactionIds: ["tx-never", "tx-7", "open-1"], reason: "mended") { ${refusal} } }`,
      ),
      { replayMany: [{ __typename: 'MessageNotFound' }, archived, { __typename: 'NotReplayable' }] },
    )
    t.strictSame(
      await dataOf(given, `mutation { expunge(transactionId: "tx-7", reason: "asked for") { ${refusal} } }`),
      { expunge: archived },
    )
    const post = async (path: string) => {
      const { status, json } = await given.call('POST', path, {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ reason: 'mended' }),
      })
      return { status, json }
    }
    t.strictSame(await post('/replay/tx-7'), {
      status: 409,
      json: { detail: `Transaction tx-7 is archived in ${archive}: it takes no more events.` },
    })
    t.strictSame(await post('/replay/tx-never'), {
      status: 404,
      json: { detail: 'Transaction tx-never is unknown.' },
    })
    t.strictSame(await post('/expunge/tx-7'), {
      status: 409,
      json: { detail: `Transaction tx-7 is archived in ${archive}: remove it there.` },
    })
  },
)

const aggregates = `query ($range: TimeRange!) {
  metrics {
    counts { pending processing success failed deadLetter total }
    throughput(range: $range, bucketSeconds: 3600) {
      received attempts succeeded failed deadLettered refused duplicates conflicts rejected
    }
    latency(range: $range) { endToEnd { count } attempt { count } }
    topFailures(range: $range) { pattern count }
    consumer { partition received duplicates conflicts rejected holes conserved }
  }
}`

type Aggregates = {
  metrics: {
    counts: Record<string, string>
    throughput: Record<string, string>[]
    consumer: Record<string, unknown>[]
  }
}

t.test('counts and aggregates are the same before and after an archive', async (t) => {
  const given = await fill(t)
  const founding = async () => (await given.call('GET', '/metrics')).json
  const [from, to] = [-3_600_000, 3_600_000].map((ms) => new Date(Date.now() + ms).toISOString())
  const read = () => dataOf<Aggregates>(given, aggregates, { range: { from, to } })
  const before = await read()
  const foundingBefore = await founding()
  t.match(before.metrics.counts, { success: '7', deadLetter: '3', pending: '9', total: '19' })
  await given.archiveNow()
  t.strictSame(await read(), before)
  t.strictSame(await founding(), foundingBefore)

  await t.test('and a duplicate and a conflict that come afterwards are counted, and not sent', async (t) => {
    const { claims } = await store(given.pool, [record(20, 'tx-1'), record(21, 'tx-1', { bytes: 'other' })], {
      partition,
      room: 10,
    })
    t.strictSame(claims, [])
    const { metrics } = await read()
    t.match(metrics.counts, { success: '7', deadLetter: '4', pending: '9', total: '20' })
    const sum = (key: string, of: Aggregates) =>
      of.metrics.throughput.reduce((total, bucket) => total + Number(bucket[key]), 0)
    for (const key of ['duplicates', 'conflicts']) t.equal(sum(key, { metrics }), sum(key, before) + 1, key)
    t.match(metrics.consumer, [{ partition, duplicates: '2', conflicts: '2', conserved: true }])
    t.match(
      await graphql(
        given,
        `{ message(transactionId: "record:${topic}:${partition}:21") { status replayable errorMessage conflictsWith { id } } }`,
      ),
      {
        data: {
          message: {
            status: 'DEAD_LETTER',
            replayable: false,
            errorMessage: 'the same transaction id with other bytes: tx-1',
            conflictsWith: null,
          },
        },
      },
    )
    isArchived(t, await graphql(given, '{ message(transactionId: "tx-1") { version } }'), 'message', '2')
  })
})

type Page = {
  nodes: { id: string; transactionId: string }[]
  pageInfo: { hasNextPage: boolean; endCursor: string | null }
}

t.test(
  'who pages through messages or events while they are archived misses nothing that is left',
  async (t) => {
    const given = await fill(t)
    const messages = `query ($after: String, $orderBy: MessageOrder!) {
    messages(first: 4, after: $after, orderBy: $orderBy) {
      nodes { id transactionId } pageInfo { hasNextPage endCursor } totalCount { value exact }
    }
  }`
    const page = async (orderBy: string, after: string | null) =>
      (await dataOf<{ messages: Page & { totalCount: object } }>(given, messages, { after, orderBy }))
        .messages
    const orders = ['CREATED_ASC', 'CREATED_DESC', 'UPDATED_ASC', 'UPDATED_DESC']
    await headPasses(given.pool)
    const begun = await Promise.all(orders.map((order) => page(order, null)))
    const events = `query ($after: String) {
    events(first: 5, after: $after) { nodes { id transactionId } pageInfo { hasNextPage endCursor } }
  }`
    const first = (await dataOf<{ events: Page }>(given, events)).events
    await given.archiveNow()
    for (const [at, order] of orders.entries()) {
      const seen = begun[at]!.nodes
      let { pageInfo } = begun[at]!
      while (pageInfo.hasNextPage) {
        const next = await page(order, pageInfo.endCursor)
        t.strictSame(next.totalCount, { value: '9', exact: true })
        seen.push(...next.nodes)
        pageInfo = next.pageInfo
      }
      t.equal(new Set(seen.map(({ id }) => id)).size, seen.length, `${order}: nothing comes twice`)
      t.strictSame(
        seen.map(({ transactionId }) => transactionId).filter((id) => id.startsWith('open-')).length,
        9,
        `${order}: nothing is missing`,
      )
    }
    t.match(await graphql(given, events, { after: first.pageInfo.endCursor }), {
      data: { events: null },
      errors: [{ extensions: { code: 'CURSOR_EXPIRED' } }],
    })
    const named = `query ($after: String, $ids: [ID!]) {
    events(first: 5, after: $after, filter: { transactionIds: $ids }) { nodes { transactionId } }
  }`
    const after = first.pageInfo.endCursor
    t.match(
      await graphql(given, named, { after, ids: ['open-0', 'tx-7'] }),
      { data: { events: null }, errors: [{ extensions: { code: 'CURSOR_EXPIRED' } }] },
      'who names an archived message would miss its events too',
    )
    t.match(await dataOf(given, named, { after, ids: ['open-0', 'never'] }), {
      events: { nodes: [{ transactionId: 'open-0' }] },
    })
    const left = await dataOf<{ events: Page }>(given, events)
    t.match(left.events.nodes[0], { transactionId: 'open-0' })
    await dataOf(given, events, { after: left.events.pageInfo.endCursor })
  },
)

type Next = { data?: Record<string, unknown> | null; errors?: readonly { extensions?: object }[] }

const transports: Record<
  string,
  (t: Test, port: number) => (query: string, variables: object) => AsyncIterable<Next>
> = {
  SSE: (t, port) => {
    const client = createSseClient({ url: `http://127.0.0.1:${port}/graphql`, retryAttempts: 0 })
    t.teardown(() => client.dispose())
    return (query, variables) => client.iterate({ query, variables: { ...variables } }) as AsyncIterable<Next>
  },
  WebSocket: (t, port) => {
    const client = createWsClient({
      url: `ws://127.0.0.1:${port}/graphql`,
      webSocketImpl: WebSocket,
      retryAttempts: 0,
    })
    t.teardown(() => client.dispose() as Promise<void>)
    return (query, variables) => client.iterate({ query, variables: { ...variables } }) as AsyncIterable<Next>
  },
}

/** All that comes until the subscription ends; over WebSocket the errors that end it are thrown. */
async function drain(stream: AsyncIterable<Next>): Promise<Next[]> {
  const seen: Next[] = []
  try {
    for await (const each of stream) seen.push(each)
  } catch (error) {
    seen.push({ errors: error as { extensions?: object }[] })
  }
  return seen
}

for (const [name, connect] of Object.entries(transports)) {
  t.test(
    `over ${name}, a cursor from before an archive and an archived message end a subscription`,
    async (t) => {
      const given = await fill(t)
      const subscribe = connect(t, given.port)
      const events =
        'subscription ($after: String) { messageEvents(after: $after, positionsEverySeconds: 60) { cursor node { id } } }'
      const state = 'subscription ($id: ID!) { message(transactionId: $id) { status version } }'
      await headPasses(given.pool)
      const { data } = await graphql(given, '{ events(first: 3) { edges { cursor } } head { cursor } }')
      const { events: page, head } = data as {
        events: { edges: { cursor: string }[] }
        head: { cursor: string }
      }
      const early = page.edges[2]!.cursor

      // They are there before the archive, and it does not disturb them.
      const watching = subscribe(state, { id: 'tx-1' })[Symbol.asyncIterator]()
      t.match((await watching.next()).value, { data: { message: { status: 'SUCCESS', version: 4 } } })
      const following = subscribe(events, { after: head.cursor })[Symbol.asyncIterator]()
      await following.next()

      await given.archiveNow()
      const [place, expired, ...more] = await drain(subscribe(events, { after: early }))
      t.match(place, { data: { messageEvents: { cursor: early, node: null } } }, 'nothing is passed over')
      t.match(expired, { errors: [{ extensions: { code: 'CURSOR_EXPIRED' } }] })
      t.strictSame(more, [])
      const [gone, ...others] = await drain(subscribe(state, { id: 'tx-1' }))
      t.match(gone, { errors: [{ extensions: { code: 'ARCHIVED', archive, messageId: '2' } }] })
      t.strictSame(others, [])

      const unknown = subscribe(state, { id: 'tx-never' })[Symbol.asyncIterator]()
      t.match((await unknown.next()).value, { data: { message: null } })
      await store(given.pool, [record(20, 'tx-never')], { partition })
      t.match((await unknown.next()).value, { data: { message: { status: 'PENDING' } } })
      await unknown.return?.()
      for (;;) {
        const next = (await following.next()).value as {
          data: { messageEvents: { node: { id: string } | null } }
        }
        if (next.data.messageEvents.node?.id === '21:1') break
      }
      t.pass('the follower got what was stored after the archive')
      await following.return?.()
      await watching.return?.()
    },
  )
}

for (const [name, connect] of Object.entries(clients)) {
  t.test(`${name} is told the code and the archive of an archived message`, async (t) => {
    const given = await fill(t, false)
    await given.archiveNow()
    const client = connect(`http://127.0.0.1:${given.port}/graphql`, token)
    t.match(
      await client.ask('query Gone($id: ID!) { message(transactionId: $id) { id status } }', { id: 'tx-1' }),
      {
        errors: [{ extensions: { code: 'ARCHIVED', archive, messageId: '2' } }],
      },
    )
  })
}

t.test('who reads a message while it is archived gets an error, and no half of it', async (t) => {
  const given = await fill(t)
  const holder = await given.pool.connect()
  t.teardown(() => holder.release(true))
  await holder.query('begin')
  // The states can be read, the events wait.
  await holder.query('lock table only message_events in access exclusive mode')
  const answer = graphql(
    given,
    `
      {
        message(transactionId: "tx-1") {
          transactionId
          conflictCount
          lastOutcome
          asOf(time: "2100-01-01T00:00:00Z") {
            status
          }
          source {
            offset
          }
        }
      }
    `,
  )
  await until('the reader waits for the events', async () => {
    const { rows } = await given.pool.query<{ n: number }>(
      `select count(*)::int as n from pg_locks where relation = 'message_events'::regclass and not granted
        and database = (select oid from pg_database where datname = current_database())`,
    )
    return rows[0]!.n > 0
  })
  await holder.query(
    `insert into segment_archives (segment, first_message_id, next_message_id, name, manifest_sha256, messages, events,
      success, dead_letter, received, duplicates, conflicts, rejected, actor, reason)
    values (1, 1, 11, $1, '', 0, 0, 0, 0, 0, 0, 0, 0, 'alice', 'old')`,
    [archive],
  )
  for (const table of ['message_states', 'records', 'message_events']) {
    await holder.query(`alter table ${table} detach partition ${table}_s1`)
    await holder.query(`drop table ${table}_s1`)
  }
  await holder.query('commit')
  const { data, errors } = await answer
  t.strictSame(data, { message: null }, 'a count of 0 would be a wrong answer')
  t.ok(errors?.length)
  for (const { extensions } of errors ?? []) t.match(extensions, { code: 'ARCHIVED', archive })
})
