import fc from 'fast-check'
import t from 'tap'
import type { Pool } from 'pg'
import { database } from '../../support/database.ts'
import {
  accepted,
  deadLetter,
  exhausted,
  fresh,
  idOf,
  record,
  refused,
  rejectedRecord,
  settleOne,
  store,
  topic,
  unavailable,
  unknown,
} from '../../log/support.ts'
import { startService, type Service } from '../service.ts'
import { dataOf, refusalOf } from './graphql.ts'

type Page = {
  edges: { cursor: string; node: Node }[]
  nodes: Node[]
  pageInfo: {
    hasNextPage: boolean
    hasPreviousPage: boolean
    startCursor: string | null
    endCursor: string | null
  }
  totalCount: { value: string; exact: boolean } | null
}
type Node = {
  transactionId: string
  createdAt: string
  updatedAt: string
  nextDueAt: string | null
  deadLetteredAt: string | null
}

const query = `query ($filter: MessageFilter, $orderBy: MessageOrder! = CREATED_ASC, $first: Int, $after: String, $last: Int, $before: String) {
  messages(filter: $filter, orderBy: $orderBy, first: $first, after: $after, last: $last, before: $before) {
    edges { cursor node { transactionId createdAt updatedAt nextDueAt deadLetteredAt } } nodes { transactionId }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount { value exact }
  }
}`

async function read(service: Service, variables: Record<string, unknown> = {}): Promise<Page> {
  return (await dataOf<{ messages: Page }>(service, query, variables)).messages
}

async function idsOf(
  service: Service,
  filter: Record<string, unknown>,
  orderBy = 'CREATED_ASC',
): Promise<string[]> {
  const page = await read(service, { filter, orderBy, first: 200 })
  t.strictSame(page.totalCount, { value: String(page.nodes.length), exact: true }, JSON.stringify(filter))
  return page.nodes.map((node) => node.transactionId)
}

/** A message of each kind; the name says which. */
async function storeKinds(pool: Pool): Promise<void> {
  const names = [
    'success',
    'refused',
    'exhausted',
    'failed',
    'open',
    'pending%',
    'pending_',
    'paid-after-all',
  ]
  const offsets = names.map((name, at) => record(at, name))
  await store(pool, offsets.slice(0, 5), { partition: 1, room: 5 })
  await store(pool, offsets.slice(5, 7), { partition: 1 })
  await store(pool, offsets.slice(7), { partition: 1, room: 1 })
  await store(pool, [rejectedRecord(0, 'nonsense', 2), record(1, 'success', { bytes: 'other' })], {
    partition: 2,
  })
  const end = async (
    name: string,
    ...how: [Parameters<typeof settleOne>[4], Parameters<typeof settleOne>[5]?]
  ) => settleOne(pool, fresh, await idOf(pool, name), 1, ...how)
  await end('paid-after-all', unknown, { then: 'retry', delayMs: 60_000 })
  await end('paid-after-all', accepted)
  await end('failed', unavailable, { then: 'retry', delayMs: 3_600_000 })
  await end('exhausted', unknown, exhausted)
  await end('refused', refused, deadLetter)
  await end('success', accepted)
}

const rejected = `record:${topic}:2:0`
const conflicting = `record:${topic}:2:1`

t.test('each filter keeps what it says', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await storeKinds(pool)
  const all = [
    'success',
    'refused',
    'exhausted',
    'failed',
    'open',
    'pending%',
    'pending_',
    'paid-after-all',
    rejected,
    conflicting,
  ]
  const expect = async (filter: Record<string, unknown>, expected: string[]) =>
    t.strictSame(await idsOf(service, filter), expected, JSON.stringify(filter))
  await expect({}, all)
  await expect({ status: ['SUCCESS'] }, ['success', 'paid-after-all'])
  await expect({ status: ['FAILED', 'PROCESSING'] }, ['failed', 'open'])
  await expect({ status: ['DEAD_LETTER'] }, ['refused', 'exhausted', rejected, conflicting])
  await expect({ status: ['PENDING'] }, ['pending%', 'pending_'])
  await expect({ transactionIds: ['open', 'failed', 'nobody', 'OPEN', 'a\0'] }, ['failed', 'open'])
  await expect({ transactionIds: ['\0'] }, [])
  await expect({ transactionIdPrefix: 'pending' }, ['pending%', 'pending_'])
  await expect({ transactionIdPrefix: 'pending%' }, ['pending%'])
  await expect({ transactionIdPrefix: 'pending_' }, ['pending_'])
  await expect({ transactionIdPrefix: "'; drop table messages" }, [])
  await expect({ transactionIdPrefix: 'record:' }, [rejected, conflicting])
  await expect({ topic, partition: 2 }, [rejected, conflicting])
  await expect({ topic: 'other' }, [])
  await expect({ partition: 1 }, all.slice(0, 8))
  await expect({ errorContains: 'http 4', status: ['DEAD_LETTER', 'FAILED'] }, ['refused'])
  await expect({ errorContains: '%', status: ['DEAD_LETTER'] }, [])
  await expect({ failurePattern: 'HTTP 503' }, ['failed'])
  await expect({ lastStatusCode: [503, 400] }, ['refused', 'failed'])
  await expect({ deadLetterCause: ['REFUSED', 'REJECTED_RECORD'] }, ['refused', rejected])
  await expect({ deadLetterCause: ['RETRIES_EXHAUSTED'] }, ['exhausted'])
  await expect({ deadLetterCause: ['CONFLICTING_RECORD'], status: ['SUCCESS'] }, [])
  await expect({ outcomeUnknown: true }, ['exhausted', 'paid-after-all'])
  await expect({ outcomeUnknown: true, status: ['SUCCESS'] }, ['paid-after-all'])
  await expect({ outcomeUnknown: false, status: ['SUCCESS'] }, ['success'])
  await expect({ retryCountMin: 1 }, ['failed', 'paid-after-all'])
  await expect({ retryCountMax: 0, status: ['FAILED', 'SUCCESS'] }, ['success'])
  await expect({ retryCountMin: 1, retryCountMax: 1, outcomeUnknown: false }, ['failed'])
})

t.test('ranges hold from inclusive and to exclusive', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await storeKinds(pool)
  const nodes = (await read(service)).edges.map(({ node }) => node)
  for (const [field, at] of [
    ['createdAt', 'createdAt'],
    ['updatedAt', 'updatedAt'],
    ['dueAt', 'nextDueAt'],
    ['deadLetteredAt', 'deadLetteredAt'],
  ] as const) {
    const times = nodes.map((node) => node[at]).filter((time) => time !== null)
    for (const time of new Set(times)) {
      const keep = (test: (value: string) => boolean) =>
        nodes.filter((node) => node[at] !== null && test(node[at])).map((node) => node.transactionId)
      t.strictSame(
        await idsOf(service, { [field]: { from: time } }),
        keep((value) => value >= time),
        `${field} from`,
      )
      t.strictSame(
        await idsOf(service, { [field]: { to: time } }),
        keep((value) => value < time),
        `${field} to`,
      )
    }
  }
  t.strictSame(
    await idsOf(service, { createdAt: {} }),
    nodes.map((node) => node.transactionId),
    'open at both ends',
  )
})

t.test('each order is one, and due is never the end of a lease', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await storeKinds(pool)
  const created = await idsOf(service, {})
  t.strictSame(await idsOf(service, {}, 'CREATED_DESC'), [...created].reverse())
  const updated = [
    'open',
    'pending%',
    'pending_',
    rejected,
    conflicting,
    'paid-after-all',
    'failed',
    'exhausted',
    'refused',
    'success',
  ]
  t.strictSame(await idsOf(service, {}, 'UPDATED_ASC'), updated)
  t.strictSame(await idsOf(service, {}, 'UPDATED_DESC'), [...updated].reverse())
  t.strictSame(await idsOf(service, {}, 'DUE_ASC'), ['pending%', 'pending_', 'failed'])
  t.strictSame(await idsOf(service, { status: ['SUCCESS', 'PROCESSING'] }, 'DUE_ASC'), [])
  const { nodes } = (await dataOf<{ messages: Page }>(service, '{ messages { nodes { transactionId } } }'))
    .messages
  t.strictSame(
    nodes.map((node) => node.transactionId),
    [...created].reverse(),
    'newest first unless asked otherwise',
  )
})

t.test('pages of any list, forwards and backwards, have each message once', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await storeKinds(pool)
  await store(
    pool,
    Array.from({ length: 15 }, (_, at) => record(at, `more-${at}`)),
    { partition: 3, room: 5 },
  )
  const filter = fc.record(
    {
      status: fc.uniqueArray(fc.constantFrom('PENDING', 'PROCESSING', 'SUCCESS', 'FAILED', 'DEAD_LETTER'), {
        minLength: 1,
      }),
      transactionIdPrefix: fc.constantFrom('more-', 'pending'),
      partition: fc.constantFrom(1, 2, 3),
      outcomeUnknown: fc.boolean(),
      retryCountMax: fc.constantFrom(0, 1),
    },
    { requiredKeys: [] },
  )
  const order = fc.constantFrom('CREATED_DESC', 'CREATED_ASC', 'UPDATED_DESC', 'UPDATED_ASC', 'DUE_ASC')
  await fc.assert(
    fc.asyncProperty(filter, order, fc.integer({ min: 1, max: 9 }), async (filter, orderBy, rows) => {
      const whole = await read(service, { filter, orderBy, first: 200 })
      const expected = whole.nodes.map((node) => node.transactionId)
      const forwards: string[] = []
      const backwards: string[] = []
      for (let after: string | null = null, more = true; more;) {
        const page = await read(service, { filter, orderBy, first: rows, after })
        t.equal(page.pageInfo.hasPreviousPage, after !== null)
        forwards.push(...page.nodes.map((node) => node.transactionId))
        after = page.pageInfo.endCursor
        more = page.pageInfo.hasNextPage
      }
      for (let before: string | null = null, more = true; more;) {
        const page = await read(service, { filter, orderBy, last: rows, before })
        t.equal(page.pageInfo.hasNextPage, before !== null)
        backwards.unshift(...page.nodes.map((node) => node.transactionId))
        before = page.pageInfo.startCursor
        more = page.pageInfo.hasPreviousPage
      }
      t.strictSame([forwards, backwards], [expected, expected], JSON.stringify({ filter, orderBy, rows }))
      t.equal(new Set(expected).size, expected.length)
    }),
    { numRuns: 25 },
  )
})

t.test(
  'a page is 20 unless asked otherwise and at most 200, and none may be asked for the count alone',
  async (t) => {
    const { pool } = await database(t)
    const service = await startService(t, pool)
    await store(
      pool,
      Array.from({ length: 30 }, (_, at) => record(at, `tx-${at}`)),
      { partition: 1 },
    )
    const page = await read(service)
    t.equal(page.nodes.length, 20)
    t.match(page.pageInfo, {
      hasNextPage: true,
      startCursor: page.edges[0]!.cursor,
      endCursor: page.edges[19]!.cursor,
    })
    t.strictSame(page.totalCount, { value: '30', exact: true })
    t.match(await read(service, { first: 0 }), {
      edges: [],
      totalCount: { value: '30' },
      pageInfo: { hasNextPage: true },
    })
    const between = await read(service, { after: page.edges[3]!.cursor, before: page.edges[6]!.cursor })
    t.strictSame(
      between.nodes.map((node) => node.transactionId),
      ['tx-4', 'tx-5'],
    )
    for (const variables of [
      { first: -1 },
      { first: 201 },
      { first: 1_000_000_000 },
      { last: -1 },
      { last: 201 },
    ]) {
      t.match(await refusalOf(service, query, variables), {
        code: 'BAD_USER_INPUT',
        message: /from 0 to 200/,
      })
    }
    t.match(await refusalOf(service, query, { first: 1, last: 1 }), { code: 'BAD_USER_INPUT' })
  },
)

t.test('a cursor is bound to its order and filter, and a forged one is refused', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await storeKinds(pool)
  const filter = { status: ['SUCCESS', 'FAILED'] }
  const { cursor } = (await read(service, { filter })).edges[0]!
  t.equal((await read(service, { filter, after: cursor })).nodes.length, 2)
  const decoded = Buffer.from(cursor, 'base64url').toString()
  const forge = (text: string) => Buffer.from(text).toString('base64url')
  const refusedCursors: Record<string, unknown>[] = [
    { after: cursor },
    { filter: { status: ['SUCCESS'] }, after: cursor },
    { filter, orderBy: 'CREATED_DESC', after: cursor },
    { filter, orderBy: 'UPDATED_ASC', after: cursor },
    ...[
      '',
      'x',
      '\0',
      "' or 1=1 --",
      `${cursor}=`,
      `${cursor} `,
      forge(decoded.replace(/\d$/, 'x')),
      forge(`${decoded}'; drop table messages --`),
      forge(decoded.replace('p1', 'p2')),
      forge(decoded.replace(/:\d+:/, ':-1:')),
      'A'.repeat(10_000),
    ].map((after) => ({ filter, after })),
  ]
  for (const variables of refusedCursors) {
    t.match(
      await refusalOf(service, query, variables),
      { code: 'CURSOR_INVALID' },
      JSON.stringify(variables).slice(0, 90),
    )
  }
  const { endCursor } = (
    await dataOf<{ events: Page }>(service, '{ events(first: 1) { pageInfo { endCursor } } }')
  ).events.pageInfo
  t.match(
    await refusalOf(service, query, { after: endCursor }),
    { code: 'CURSOR_INVALID' },
    "a cursor of the log's",
  )
})

t.test('a filter that cannot be served is refused with the fix', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  const day = { from: '2024-01-01T00:00:00Z', to: '2024-01-02T00:00:00Z' }
  const filters: [Record<string, unknown>, RegExp][] = [
    [{ errorContains: 'x' }, /FAILED or DEAD_LETTER, or a createdAt range/],
    [{ errorContains: 'x', status: ['FAILED', 'PENDING'] }, /FAILED or DEAD_LETTER/],
    [{ errorContains: 'x', createdAt: { ...day, to: '2024-01-02T00:00:01Z' } }, /24 hours/],
    [{ errorContains: 'x', createdAt: { from: day.from } }, /24 hours/],
    [{ errorContains: 'x', createdAt: { to: day.to } }, /24 hours/],
    [{ errorContains: '', status: ['FAILED'] }, /errorContains/],
    [{ errorContains: 'a\0', status: ['FAILED'] }, /without NUL/],
    [{ transactionIdPrefix: 'ab' }, /at least 3 bytes/],
    [{ transactionIdPrefix: '' }, /transactionIdPrefix/],
    [{ transactionIdPrefix: 'abc\0' }, /without NUL/],
    [{ transactionIds: [] }, /empty/],
    [{ transactionIds: Array.from({ length: 1_001 }, (_, at) => String(at)) }, /at most 1000/],
    [{ status: [] }, /status is empty/],
    [{ retryCountMin: 2, retryCountMax: 1 }, /retryCountMin/],
    [{ createdAt: { from: day.to, to: day.from } }, /createdAt.from must lie before/],
  ]
  for (const [filter, message] of filters) {
    t.match(
      await refusalOf(service, query, { filter }),
      { code: 'BAD_USER_INPUT', message },
      JSON.stringify(filter).slice(0, 80),
    )
  }
  t.strictSame(await idsOf(service, { errorContains: 'x', createdAt: day }), [])
  t.strictSame(
    await idsOf(service, {
      errorContains: 'x',
      createdAt: { from: new Date(Date.now() - 3_600_000).toISOString() },
    }),
    [],
  )
  t.strictSame(await idsOf(service, { transactionIdPrefix: 'äa' }), [], 'three bytes are not three letters')
})

t.test('a page of 200 with all fields is a bounded number of statements', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  await store(
    pool,
    Array.from({ length: 200 }, (_, at) => record(at, `tx-${at}`)),
    { partition: 1, room: 100 },
  )
  const count = async (first: number): Promise<number> => {
    const original = pool.connect.bind(pool)
    let statements = 0
    // Each statement of the API has a connection for itself.
    pool.connect = ((...rest: []) => {
      statements++
      return original(...rest)
    }) as typeof pool.connect
    const all = `{ messages(first: ${first}) { nodes { id replayable deadLetterCause lastOutcome conflictCount conflicts(first: 1) { id }
      conflictsWith { id } payload { text json sha256 } source { key headers(first: 2) { name } } history(first: 10) { type message { id } source { key } }
      asOf(time: "2030-01-01T00:00:00Z") { status } } totalCount { value } } }`
    try {
      await dataOf(service, all)
    } finally {
      pool.connect = original
    }
    return statements
  }
  const [one, page] = [await count(1), await count(200)]
  t.equal(page, one, `${page} statements`)
})
