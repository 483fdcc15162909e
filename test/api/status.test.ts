import t from 'tap'
import type { Health } from '../../src/api/health.ts'
import { recognizeServer } from '../../src/log/server/recognize-server.ts'
import { database } from '../support/database.ts'
import { pauseDestination } from '../../src/log/write/steer-destination.ts'
import { hold } from './destination.ts'
import { connectThroughProxy, startService, well } from './service.ts'

t.test('a service at work is healthy, ready and alive, and says what its parts do', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  const { status, json } = await call('GET', '/status')
  t.equal(status, 200)
  const { timestamp, destination, ...rest } = json as Record<string, unknown>
  t.match(timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
  t.strictSame(rest, {
    status: 'healthy',
    database: 'connected',
    instance: 'instance-1',
    release: '1.2.3',
    database_error: null,
    listener: { up: true, age_ms: 1_500, last_error: null },
    consumer: {
      up: true,
      state: 'running',
      topic_missing: false,
      assigned: [0, 1],
      unread: [],
      waiting: [],
      coordinator_error: null,
      connected: true,
      since: '2026-01-02T03:04:05.000000Z',
      fetched_at: '2026-01-02T03:05:05.000000Z',
      heartbeat_at: '2026-01-02T03:05:06.000000Z',
      last_error: null,
    },
    lanes: [
      { lane: 'fresh', in_flight: 3, claimed_ahead: 2, limit: 50, last_error: null },
      { lane: 'retry', in_flight: 0, claimed_ahead: 0, limit: 5, last_error: null },
    ],
    log_retention: null,
    draining: false,
    starting: null,
    tokens_fault: null,
    server_change: null,
    stray_outcomes: 0,
    stopped: [],
    dead_letters: { open: 0, resolved: 0 },
    on_hold: 0,
  })
  const { since, ...standing } = destination as Record<string, unknown>
  t.match(since, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
  t.strictSame(standing, {
    name: 'default',
    state: 'flowing',
    cause: null,
    reason: null,
    until: null,
    next_probe_at: null,
    rate_limit: null,
    throttled_rate: null,
    not_before: null,
  })
  t.match(await call('GET', '/readyz'), { status: 200, json: { status: 'ready' } })
  t.match(await call('GET', '/healthz'), { status: 200, json: { status: 'alive' } })
})

t.test(
  'each part that is down, partitions that nobody reads, a start and a drain make it unhealthy and not ready, but alive',
  async (t) => {
    const { pool } = await database(t)
    let health = well
    const { call } = await startService(t, pool, () => health)
    const cases: [Health, RegExp][] = [
      [{ ...well, listener: { up: false, ageMs: null, lastError: 'reset' } }, /listener/],
      [{ ...well, consumer: { ...well.consumer, up: false, state: 'crashed' } }, /consumer/],
      [{ ...well, consumer: { ...well.consumer, unread: [2, 5] } }, /No member .* reads partitions 2 and 5/],
      [{ ...well, consumer: { ...well.consumer, topicMissing: true } }, /no such topic as KAFKA_TOPIC/],
      [{ ...well, consumer: { ...well.consumer, waiting: [0, 1].map(waitingPartition) } }, /none of the/],
      // Of a consumer that is down it says nothing that partitions wait.
      [
        { ...well, consumer: { ...well.consumer, up: false, waiting: [0, 1].map(waitingPartition) } },
        /^The consumer is down\.$/,
      ],
      [{ ...well, draining: true }, /[Dd]raining/],
      [{ ...well, starting: 'Kafka' }, /waiting for Kafka/],
    ]
    for (const [each, detail] of cases) {
      health = each
      t.match(await call('GET', '/status'), {
        status: 503,
        json: { status: 'unhealthy', database: /^connected$/, detail },
      })
      t.match(await call('GET', '/readyz'), { status: 503, json: { status: 'not ready', detail } })
      t.equal((await call('GET', '/healthz')).status, 200)
    }
  },
)

t.test('a destination that is held or paused is told, and the service is well', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  await hold(pool, ['failed-1', 'failed-2'])
  t.match(await call('GET', '/status'), {
    status: 200,
    json: {
      status: 'healthy',
      destination: {
        state: 'held',
        cause: 'failures',
        reason: '2 failures in a row, the last one: HTTP 503',
        next_probe_at: /Z$/,
      },
    },
  })
  t.equal((await call('GET', '/readyz')).status, 200)
  const reason = 'see https://alice:p@hunter2@wiki.test/runbook'
  await pauseDestination(pool, 'default', { actor: 'bob', reason }, { at: '2999-01-01T00:00:00Z' })
  const { status, text, json } = await call('GET', '/status')
  t.equal(status, 200)
  t.match(json, {
    destination: {
      state: 'paused',
      cause: 'operator',
      reason: 'see https://…@wiki.test/runbook',
      until: '2999-01-01T00:00:00.000000Z',
      next_probe_at: null,
    },
  })
  t.notMatch(text, /bob|hunter2/, 'it is open to all')
  t.equal((await call('GET', '/readyz')).status, 200)
})

t.test('a change of the database server is told, with what may be missing', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  await recognizeServer(pool, 'instance-1', null, null)
  await pool.query('alter table server_changes disable trigger append_only')
  await pool.query('update server_changes set timeline = 7')
  await pool.query('alter table server_changes enable always trigger append_only')
  const found = await recognizeServer(pool, 'instance-2', null, null)
  t.equal(found?.epoch, 2)
  t.match(await call('GET', '/status'), {
    status: 200,
    json: {
      server_change: {
        actor: 'instance-2',
        from_timeline: 7,
        timeline: 1,
        noticed_at: /^20.*\.\d{6}Z$/,
        position: '0',
      },
      stray_outcomes: 0,
    },
  })
})
t.test(
  'a partition that waits for Kafka is listed with its reason, and the service stays healthy',
  async (t) => {
    const { pool } = await database(t)
    const consumer = { ...well.consumer, waiting: [waitingPartition(1)], coordinatorError: 'it hangs' }
    const { call } = await startService(t, pool, () => ({ ...well, consumer }))
    t.match(await call('GET', '/status'), {
      status: 200,
      json: {
        consumer: {
          waiting: [{ partition: 1, reason: 'It has no leader.', waiting_ms: 3_000 }],
          coordinator_error: 'it hangs',
        },
      },
    })
  },
)

t.test('a stopped partition is listed with its reason, and the service stays healthy', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  await pool.query(
    `select stop_partition('transactions.incoming', 3, 1, 0, null, 'offsets out of range', 'instance-1')`,
  )
  t.match(await call('GET', '/status'), {
    status: 200,
    json: {
      status: /^healthy$/,
      stopped: [
        {
          topic: 'transactions.incoming',
          partition: 3,
          reason: 'offsets out of range',
          since: /^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{6}Z$/,
        },
      ],
    },
  })
})

t.test(
  'a database that is gone, or hangs, is told within the bound, and found again by itself',
  async (t) => {
    const { url } = await database(t)
    const { pool, proxy } = await connectThroughProxy(t, url)
    const { call } = await startService(t, pool)
    const down = { status: 503, json: { status: 'unhealthy', database: 'disconnected', stopped: null } }
    t.equal((await call('GET', '/status')).status, 200)

    await proxy.refuse(true)
    proxy.cut()
    t.match(await call('GET', '/status'), down)
    t.match(await call('GET', '/transactions'), {
      status: 503,
      json: { detail: /^The database does not answer/ },
    })
    t.equal((await call('GET', '/readyz')).status, 503)
    await proxy.refuse(false)
    t.equal((await call('GET', '/status')).status, 200)

    proxy.blackhole(true)
    t.match(await call('GET', '/status'), down)
    t.match(await call('GET', '/transactions'), {
      status: 503,
      json: { detail: /^The database does not answer/ },
    })
    proxy.blackhole(false)
    t.equal((await call('GET', '/status')).status, 200)
  },
)

t.test(
  'a pool that has no connection left is told too, and takes back the one that comes late',
  async (t) => {
    const { pool } = await database(t)
    const { call } = await startService(t, pool)
    const clients = await Promise.all(Array.from({ length: pool.options.max }, () => pool.connect()))
    t.equal((await call('GET', '/status')).status, 503)
    for (const client of clients) client.release()
    t.equal((await call('GET', '/status')).status, 200)
    t.equal(pool.waitingCount, 0)
    t.equal(pool.idleCount, pool.totalCount)
  },
)

t.test('before the schema is there, the database is connected and nothing else is claimed', async (t) => {
  const { pool } = await database(t, { empty: true })
  const { call } = await startService(t, pool, () => ({ ...well, starting: 'migrations' }))
  t.match(await call('GET', '/status'), { status: 503, json: { database: /^connected$/, stopped: null } })
  t.equal((await call('GET', '/metrics')).status, 503)
  t.equal((await call('GET', '/transactions')).status, 503)
})

t.test('errors are shown without what they quote: roles, passwords, values', async (t) => {
  const { pool } = await database(t)
  const lastError = 'no entry for "alice" at postgresql://alice:hunter2@db/x?password=hunter2\n\u001b[31m'
  const { call } = await startService(t, pool, () => ({
    ...well,
    listener: { up: false, ageMs: null, lastError },
    consumer: { ...well.consumer, lastError },
  }))
  const { text } = await call('GET', '/status')
  t.match(text, 'no entry for')
  t.notMatch(text, /hunter2|alice|u001b/)
})

function waitingPartition(partition: number) {
  return { partition, reason: 'It has no leader.', waitingMs: 3_000 }
}
