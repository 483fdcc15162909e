import t from 'tap'
import type { Pool } from 'pg'
import { settle } from '../../../src/log/write/settle.ts'
import { database } from '../../support/database.ts'
import { connectThroughProxy, startService, store, storeDeadLetters, well } from '../service.ts'
import { dataOf, graphql, refusalOf } from './graphql.ts'

const everything = `{ metrics {
  at
  counts { pending processing success failed deadLetter total }
  deadLetters { open resolved } held
  outcomeUnknown { open deadLetter success }
  throughput { at seconds received attempts succeeded failed deadLettered refused unavailable notSent unknown abandoned replayed
    duplicates conflicts rejected }
  latency { endToEnd { count p50Ms p90Ms p99Ms maxMs } attempt { count p50Ms p90Ms p99Ms maxMs } errorBound }
  retries { retryCount messages }
  topFailures { pattern count firstAt lastAt trend examples { transactionId } }
  oldestPendingAt oldestDueAt
  inFlight { lane inFlight limit due { value exact } }
  consumer { topic partition nextOffset highOffset lag stopped received duplicates conflicts rejected holes conserved }
  wakeups { notify timer slot sweep missed listenerUp listenerAgeSeconds }
  watermark { cursor at ageSeconds heldByPid } } }`

type Fields = Record<string, unknown>
type Metrics = Fields & { throughput: Fields[]; topFailures: Fields[]; latency: Record<string, Fields> }

async function fill(pool: Pool): Promise<void> {
  const claims = await store(pool, ['tx-1', 'tx-2', 'tx-3', 'tx-4'], { room: 3 })
  await settle(pool, 'instance-1/fresh', [
    {
      ...claims[0]!,
      outcome: { kind: 'accepted', statusCode: 200 },
      durationMs: 20,
      decision: { then: 'success' },
      verdict: 'success',
    },
    {
      ...claims[1]!,
      outcome: { kind: 'unknown', statusCode: null, reason: 'no answer to 4711 in time' },
      durationMs: 300,
      decision: { then: 'retry', delayMs: 600_000 },
      verdict: 'failure',
    },
  ])
  await storeDeadLetters(pool, ['tx-dead'])
  await store(pool, ['tx-1'])
}

t.test('everything that a dashboard shows comes in one answer', async (t) => {
  const { pool } = await database(t)
  await fill(pool)
  const service = await startService(t, pool)
  service.metrics.wakeups.inc({ lane: 'fresh', cause: 'notify' }, 3)
  service.metrics.wakeups.inc({ lane: 'retry', cause: 'notify' }, 2)
  service.metrics.wakeups.inc({ lane: 'retry', cause: 'timer' })
  service.metrics.consumerLag.set({ topic: 'transactions.incoming', partition: '0' }, 12)
  const { metrics } = await dataOf<{ metrics: Metrics }>(service, everything)
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/
  t.match(metrics, {
    at: time,
    counts: { pending: '1', processing: '1', success: '1', failed: '1', deadLetter: '1', total: '5' },
    deadLetters: { open: '1', resolved: '0' },
    held: '0',
    outcomeUnknown: { open: '1', deadLetter: '0', success: '0' },
    latency: {
      endToEnd: { count: '1' },
      attempt: { count: '3', maxMs: 300 },
      errorBound: 0.087,
    },
    retries: [
      { retryCount: 0, messages: '4' },
      { retryCount: 1, messages: '1' },
    ],
    oldestPendingAt: time,
    oldestDueAt: time,
    inFlight: [
      { lane: 'FRESH', inFlight: 3, limit: 50, due: { value: '1', exact: true } },
      { lane: 'RETRY', inFlight: 0, limit: 5, due: { value: '0', exact: true } },
    ],
    consumer: [
      {
        topic: 'transactions.incoming',
        partition: 0,
        nextOffset: '6',
        highOffset: '18',
        lag: '12',
        stopped: null,
        received: '5',
        duplicates: '1',
        conflicts: '0',
        rejected: '0',
        holes: '0',
        conserved: true,
      },
    ],
    wakeups: {
      notify: '5',
      timer: '1',
      slot: '0',
      sweep: '0',
      missed: '0',
      listenerUp: true,
      listenerAgeSeconds: 1.5,
    },
    watermark: { cursor: /^[\w-]+$/, at: time },
  })
  t.strictSame(
    metrics.topFailures.map(({ pattern, count, examples }) => ({ pattern, count, examples })),
    [
      { pattern: 'HTTP 422', count: '1', examples: [{ transactionId: 'tx-dead' }] },
      { pattern: 'no answer to <n> in time', count: '1', examples: [{ transactionId: 'tx-2' }] },
    ],
  )
  for (const { count, trend, firstAt, lastAt } of metrics.topFailures as {
    count: string
    trend: string[]
    firstAt: string
    lastAt: string
  }[]) {
    t.strictSame([trend.length, trend.at(-1)], [12, count], 'all of it in the last twelfth of the hour')
    t.ok(Date.parse(firstAt) <= Date.parse(lastAt) && Date.parse(lastAt) - Date.parse(firstAt) < 120_000)
  }
  const sum = (field: string) => metrics.throughput.reduce((all, bucket) => all + Number(bucket[field]), 0)
  t.ok(metrics.throughput.length >= 60 && metrics.throughput.length <= 61)
  t.strictSame(
    ['received', 'attempts', 'succeeded', 'failed', 'refused', 'unknown', 'deadLettered', 'duplicates'].map(
      sum,
    ),
    [5, 4, 1, 2, 1, 1, 1, 1],
  )
})

t.test('an empty database has figures too', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  const { metrics } = await dataOf<{ metrics: Metrics }>(service, everything)
  t.match(metrics, {
    counts: { total: '0' },
    deadLetters: { open: '0', resolved: '0' },
    held: '0',
    outcomeUnknown: { open: '0', deadLetter: '0', success: '0' },
    latency: { endToEnd: { count: '0', p50Ms: null, maxMs: null } },
    retries: [],
    topFailures: [],
    oldestPendingAt: null,
    oldestDueAt: null,
    consumer: [],
  })
  t.ok(metrics.throughput.every((bucket) => bucket.received === '0'))
})

t.test(
  'without the database each field that needs it fails by itself, and the others are answered',
  async (t) => {
    const { url } = await database(t)
    const { pool, proxy } = await connectThroughProxy(t, url)
    const service = await startService(t, pool)
    await proxy.stop()
    const { data, errors } = await graphql(service, everything)
    const metrics = data?.metrics as Metrics
    t.match(metrics, {
      at: String,
      counts: null,
      outcomeUnknown: null,
      throughput: null,
      latency: null,
      retries: null,
      topFailures: null,
      oldestPendingAt: null,
      oldestDueAt: null,
      consumer: null,
      watermark: null,
      inFlight: [
        { lane: 'FRESH', inFlight: 3, due: null },
        { lane: 'RETRY', inFlight: 0, due: null },
      ],
      wakeups: { listenerUp: true },
    })
    t.strictSame(
      new Set(errors?.map(({ extensions }) => extensions?.code)),
      new Set(['DATABASE_UNAVAILABLE']),
    )
    t.strictSame(errors?.map(({ path }) => path?.[1]).sort(), [
      'consumer',
      'counts',
      'deadLetters',
      'held',
      'inFlight',
      'inFlight',
      'latency',
      'oldestDueAt',
      'oldestPendingAt',
      'outcomeUnknown',
      'retries',
      'throughput',
      'topFailures',
      'watermark',
    ])
  },
)

t.test(
  'a partition that waits for an operator says why, and what only another instance reads has no lag',
  async (t) => {
    const { pool } = await database(t)
    await store(pool, ['tx-1'])
    await pool.query(
      `select stop_partition('transactions.incoming', 0, 1, 1, null, 'offsets are out of range', 'instance-1')`,
    )
    const service = await startService(t, pool, () => ({ ...well, lanes: [] }))
    const query = '{ metrics { inFlight { lane } consumer { stopped lag highOffset nextOffset } } }'
    t.strictSame(await dataOf(service, query), {
      metrics: {
        inFlight: [],
        consumer: [{ stopped: 'offsets are out of range', lag: null, highOffset: null, nextOffset: '1' }],
      },
    })
  },
)

t.test('a range wins over lastSeconds, and its edges widen to whole minutes', async (t) => {
  const { pool } = await database(t)
  await pool.query(
    `insert into rollups
     select '2026-01-01 10:00Z'::timestamptz + m * interval '1 minute', measure, 0, m
     from generate_series(0, 9) as m, unnest(array['received', 'unavailable', 'not_sent']) as measure`,
  )
  await pool.query(`insert into failure_rollups values ('2026-01-01 10:03Z', 'HTTP 503', 7, now(), '{}')`)
  const service = await startService(t, pool)
  const range = `range: { from: "2026-01-01T11:01:59+01:00", to: "2026-01-01T10:04:00.000001Z" }, lastSeconds: 60`
  t.strictSame(
    await dataOf(
      service,
      `{ metrics {
        throughput(${range}, bucketSeconds: 120) { at received failed notSent }
        topFailures(${range}) { pattern count examples { id } } } }`,
    ),
    {
      metrics: {
        throughput: [
          { at: '2026-01-01T10:01:00.000000Z', received: '3', failed: '6', notSent: '3' },
          { at: '2026-01-01T10:03:00.000000Z', received: '7', failed: '14', notSent: '7' },
        ],
        topFailures: [{ pattern: 'HTTP 503', count: '7', examples: [] }],
      },
    },
  )
})

t.test('a range of which only hours are kept is answered by whole hours, and says so', async (t) => {
  const { pool } = await database(t)
  await pool.query(
    `insert into rollups
     select '2026-01-01 10:00Z'::timestamptz + m * interval '1 minute', measure, bucket, 1
     from generate_series(0, 179) as m, (values ('received', 0), ('attempt', 60), ('attempt_max', 0)) as k (measure, bucket)`,
  )
  await pool.query(
    `insert into failure_rollups select minute, 'HTTP 503', 1, minute, '{}' from rollups where measure = 'received'`,
  )
  for (let more = true; more;)
    ({ more } = (await pool.query<{ more: boolean }>('select age_piece() as more')).rows[0]!)
  const service = await startService(t, pool)
  const range = `range: { from: "2026-01-01T10:59:59Z", to: "2026-01-01T12:00:00Z" }`
  t.strictSame(
    await dataOf(
      service,
      `{ metrics {
        throughput(${range}) { at seconds received }
        latency(${range}) { attempt { count maxMs } }
        topFailures(${range}) { pattern count lastAt } } }`,
    ),
    {
      metrics: {
        throughput: [
          { at: '2026-01-01T10:00:00.000000Z', seconds: 3_600, received: '60' },
          { at: '2026-01-01T11:00:00.000000Z', seconds: 3_600, received: '60' },
        ],
        latency: { attempt: { count: '120', maxMs: 0.001 } },
        topFailures: [{ pattern: 'HTTP 503', count: '120', lastAt: '2026-01-01T11:59:00.000000Z' }],
      },
    },
  )
})

t.test('what is asked for out of bounds is refused with the fix, and only that field', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool)
  const cases = [
    ['throughput(bucketSeconds: 90) { at }', 'bucketSeconds must be a multiple of 60.'],
    ['throughput(bucketSeconds: 0) { at }', 'bucketSeconds must be from 60 to 2678400.'],
    [
      'throughput(lastSeconds: 2000000) { at }',
      /^That would be 3333\d buckets, and at most 1500 are answered: make bucketSeconds at least 1380\.$/,
    ],
    ['throughput(lastSeconds: 0) { at }', 'lastSeconds must be from 1 to 2678400.'],
    ['latency(lastSeconds: 1000000000) { errorBound }', 'lastSeconds must be from 1 to 2678400.'],
    [
      'latency(range: { from: "2026-01-01T00:00:00Z", to: "2026-02-02T00:00:00Z" }) { errorBound }',
      'range must be at most 31 days: ask for it in parts.',
    ],
    [
      'topFailures(range: { from: "2026-01-02T00:00:00Z", to: "2026-01-01T00:00:00Z" }) { pattern }',
      'range.to must be after range.from.',
    ],
    ['topFailures(first: -1) { pattern }', 'first must be from 0 to 100.'],
    ['topFailures(first: 101) { pattern }', 'first must be from 0 to 100.'],
  ] as const
  for (const [field, message] of cases) {
    const query = `{ metrics { counts { total } ${field} } }`
    t.match(await refusalOf(service, query), { code: 'BAD_USER_INPUT', message })
    const { data } = await graphql(service, query)
    t.match(data, { metrics: { counts: { total: '0' } } })
  }
})

t.test('who asks keeps the rollups folded, so that asking stays cheap', async (t) => {
  const { pool } = await database(t)
  await store(pool, ['tx-1'])
  await pool.query(`insert into status_count_deltas select 0, 1, 0, 0, 0, 0 from generate_series(1, 300)`)
  const service = await startService(t, pool)
  t.match(await dataOf(service, '{ metrics { counts { total } } }'), {
    metrics: { counts: { total: '301' } },
  })
  const { rows } = await pool.query<{ waiting: number }>(
    'select count(*)::int as waiting from status_count_deltas',
  )
  t.ok(rows[0]!.waiting <= 1, 'the statement of this test may still lie above the watermark')
})

t.test(
  'how the instance stands with Kafka is told without a database, and what it does not know is null',
  async (t) => {
    const { url } = await database(t)
    const way = await connectThroughProxy(t, url)
    let { consumer } = well
    const service = await startService(t, way.pool, () => ({ ...well, consumer }))
    way.proxy.blackhole(true)
    service.metrics.unreadLag.set({ topic: 'transactions.incoming', partition: 2 }, 7)
    const query = `{ metrics { kafka { topic connected since reason state lastFetchAt lastHeartbeatAt assigned
    waiting { partition reason seconds } members { instance partitions } membersAt unread { topic partition lag } } } }`
    const read = async () => (await dataOf<{ metrics: { kafka: Fields } }>(service, query)).metrics.kafka
    consumer = {
      ...consumer,
      unread: [2, 3],
      waiting: [{ partition: 1, reason: 'no leader at //user:pass@host', waitingMs: 1_500 }],
    }
    t.strictSame(await read(), {
      topic: 'transactions.incoming',
      connected: true,
      since: '2026-01-02T03:04:05.000000Z',
      reason: null,
      state: 'RUNNING',
      lastFetchAt: '2026-01-02T03:05:05.000000Z',
      lastHeartbeatAt: '2026-01-02T03:05:06.000000Z',
      assigned: [0, 1],
      waiting: [{ partition: 1, reason: 'no leader at //…@host', seconds: 1.5 }],
      members: [{ instance: 'instance-1', partitions: [0, 1] }],
      membersAt: '2026-01-02T03:05:04.000000Z',
      unread: [
        { topic: 'transactions.incoming', partition: 2, lag: '7' },
        { topic: 'transactions.incoming', partition: 3, lag: null },
      ],
    })
    const connection = { isConnected: false, since: new Date(0), reason: 'connect ECONNREFUSED' }
    consumer = {
      ...consumer,
      state: 'crashed',
      up: false,
      connection,
      assigned: [],
      unread: [],
      waiting: [],
      group: null,
    }
    t.match(await read(), {
      connected: false,
      reason: 'connect ECONNREFUSED',
      state: 'CRASHED',
      assigned: [],
      members: null,
      membersAt: null,
      unread: null,
    })
    way.proxy.blackhole(false)
  },
)
