import { pino } from 'pino'
import t from 'tap'
import { Ground } from '../../src/dispatch/ground.ts'
import { Outage } from '../../src/dispatch/outage.ts'
import { sweep } from '../../src/dispatch/sweep.ts'
import { createMetrics } from '../../src/metrics.ts'
import { setRateLimit } from '../../src/log/write/steer-destination.ts'
import { Waker } from '../../src/wake/waker.ts'
import { newName, pendingMessage, record, sameServer, store } from '../log/support.ts'
import { database } from '../support/database.ts'
import { until } from '../support/until.ts'
import { flowing } from '../support/flowing.ts'
import { hangingLane } from './support.ts'

const logger = pino({ level: 'silent' })

// The sweep counts for a lane only after it has had room for ten seconds.
const lane = hangingLane('fresh', 'instance-1', 10)

t.test('the sweep folds what statements left, and makes old rollups coarser', async (t) => {
  const { pool } = await database(t)
  await store(pool, [record(0, newName())])
  await pool.query(
    `insert into rollups
     select date_bin('1 hour', now() - interval '40 days', 'epoch') + m * interval '1 minute', 'received', 0, 1
     from generate_series(0, 59) as m`,
  )
  const stop = new AbortController()
  t.teardown(() => stop.abort())
  const metrics = createMetrics('test')
  const lastSweep = async () => (await metrics.lastSweep.get()).values[0]!.value
  t.equal(await lastSweep(), 0)
  const sweeping = sweep(
    {
      database: pool,
      lanes: [],
      outage: new Outage(60_000, 1_000, sameServer),
      ground: new Ground(pool, logger),
      destination: flowing,
      jobs: { wake: () => undefined },
      listenerUpSince: () => null,
      segmentMessages: 5_000_000,
      metrics,
      logger,
      everyMs: 10,
    },
    stop.signal,
  )
  const begun = await lastSweep()
  t.ok(begun > 0, 'from the beginning of the sweeps on')
  await until('the hour of minutes to be one row', async () => {
    const { rows } = await pool.query<{ n: string }>(
      `select n from rollups where minute < now() - interval '35 days' and minute > '-infinity'`,
    )
    return rows.length === 1 && rows[0]!.n === '60'
  })
  await until(
    'the statement to be folded',
    async () => (await pool.query('select from status_count_deltas')).rowCount === 0,
  )
  stop.abort()
  await sweeping
  const { rows } = await pool.query<{ n: string }>(
    `select n from rollups where measure = 'received' and minute > now() - interval '1 day'`,
  )
  t.strictSame(rows, [{ n: '1' }])
  t.ok((await lastSweep()) > begun)
})

t.test('a sweep that fails leaves the time of the last good one', async (t) => {
  const metrics = createMetrics('test')
  const stop = new AbortController()
  t.teardown(() => stop.abort())
  let failed = 0
  const inspect = () => Promise.reject(new Error(`the database is away ${++failed}`))
  const sweeping = sweep(
    {
      database: (await database(t)).pool,
      lanes: [],
      outage: new Outage(60_000, 1_000, sameServer),
      ground: { inspect, fault: null } as unknown as Ground,
      destination: flowing,
      jobs: { wake: () => undefined },
      listenerUpSince: () => null,
      segmentMessages: 5_000_000,
      metrics,
      logger,
      everyMs: 10,
    },
    stop.signal,
  )
  const begun = (await metrics.lastSweep.get()).values[0]!.value
  await until('three to have failed', () => failed > 2)
  stop.abort()
  await sweeping
  t.equal((await metrics.lastSweep.get()).values[0]!.value, begun)
})

t.test(
  'what is due long after its time has its lane look without a bound, also where there is a pace',
  async (t) => {
    const { pool } = await database(t)
    await setRateLimit(pool, 'default', { actor: 'alice', reason: 'a test' }, { perSecond: 1, burst: null })
    const late = await pendingMessage(pool)
    await pool.query(
      `update message_states set due_at = due_at - interval '11 seconds' where message_id = $1`,
      [late],
    )
    const stop = new AbortController()
    t.teardown(() => stop.abort())
    const metrics = createMetrics('test')
    const waker = new Waker()
    const sweeping = sweep(
      {
        database: pool,
        lanes: [{ lane, waker }],
        outage: new Outage(60_000, 1_000, sameServer),
        ground: new Ground(pool, logger),
        destination: flowing,
        jobs: { wake: () => undefined },
        listenerUpSince: () => -Infinity,
        segmentMessages: 5_000_000,
        metrics,
        logger,
        everyMs: 10,
      },
      stop.signal,
    )
    let cause: string | null = null
    void waker.next(stop.signal).then((woken) => (cause = woken))
    await until('the lane to be woken', () => cause !== null)
    t.equal(cause, 'sweep')
    t.equal((await metrics.missedWakeups.get()).values[0]!.value, 0, 'nobody can tell that it was missed')
    stop.abort()
    await sweeping
  },
)
