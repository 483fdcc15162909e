import { pino } from 'pino'
import t from 'tap'
import { Ground } from '../../src/dispatch/ground.ts'
import { Outage } from '../../src/dispatch/outage.ts'
import { sweep } from '../../src/dispatch/sweep.ts'
import { createMetrics } from '../../src/metrics.ts'
import { newName, record, sameServer, store } from '../log/support.ts'
import { database } from '../support/database.ts'
import { until } from '../support/until.ts'
import { flowing } from '../support/flowing.ts'

const logger = pino({ level: 'silent' })

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
