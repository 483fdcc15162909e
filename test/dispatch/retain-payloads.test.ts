import { mock } from 'node:test'
import type { Pool, QueryConfig } from 'pg'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { retainPayloads } from '../../src/dispatch/retain-payloads.ts'
import { accepted, fresh, openAttempts, settle, settlement } from '../log/support.ts'
import { database } from '../support/database.ts'
import { until } from '../support/until.ts'

/** Runs the loop until the test ends. */
function start(t: Test, pool: Pool, retainMs: number | null, ground: { fault: string | null }) {
  const stop = new AbortController()
  const lines: Record<string, unknown>[] = []
  const logger = pino(
    { messageKey: 'event' },
    { write: (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>) },
  )
  const retention = retainMs === null ? null : { retainMs, text: `${retainMs / 1_000}` }
  const ended = retainPayloads(
    { database: pool, instance: 'instance-1', retention, ground, logger, failpoint: () => undefined },
    stop.signal,
  )
  t.teardown(async () => {
    stop.abort()
    await ended
  })
  return { lines, ended }
}

async function storeEnded(pool: Pool, count: number): Promise<void> {
  const ids = await openAttempts(pool, count)
  await settle(
    pool,
    fresh,
    ids.map((id) => settlement(id, 1, accepted)),
  )
}

async function countExpunged(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ n: number }>(
    `select count(*)::int as n from records where payload_state = 'expunged'`,
  )
  return rows[0]!.n
}

/** The pool, and how many events each piece was to look at. The first pieces end as one that PostgreSQL's timeout ends. */
function failFirst(pool: Pool, times: number): { pool: Pool; asked: number[] } {
  const asked: number[] = []
  const query = (config: QueryConfig<unknown[]>): unknown => {
    if (config.name !== 'expunge_aged') return pool.query(config)
    asked.push(Number(config.values?.[3]))
    if (asked.length > times) return pool.query(config)
    return Promise.reject(
      Object.assign(new Error('canceling statement due to statement timeout'), { code: '57014' }),
    )
  }
  return { pool: { query } as unknown as Pool, asked }
}

t.test('without a retention nothing is asked of the database', async (t) => {
  const { pool } = await database(t)
  const failing = failFirst(pool, Infinity)
  await start(t, failing.pool, null, { fault: null }).ended
  t.strictSame(failing.asked, [])
})

t.test('a piece that a timeout ended is tried again with fewer events', async (t) => {
  const { pool } = await database(t)
  await storeEnded(pool, 10)
  const failing = failFirst(pool, 2)
  const { lines } = start(t, failing.pool, 1, { fault: null })
  await until('all to be expunged', async () => (await countExpunged(pool)) === 10)
  t.strictSame(failing.asked.slice(0, 3), [1_000, 250, 62])
  await until('the log to tell', () => lines.some(({ event }) => event === 'payloads expunged'))
  t.equal(lines.filter(({ event }) => event === 'retention failed').length, 2)
})

t.test("what is old by the database's clock alone is not expunged", async (t) => {
  const { pool } = await database(t)
  await storeEnded(pool, 3)
  const now = Date.now.bind(Date)
  const behind = mock.method(Date, 'now', () => now() - 3_600_000)
  t.teardown(() => behind.mock.restore())
  const asking = failFirst(pool, 0)
  start(t, asking.pool, 1, { fault: null })
  await until('two rounds', () => asking.asked.length >= 2)
  t.equal(await countExpunged(pool), 0)
  behind.mock.restore()
  await until('all to be expunged', async () => (await countExpunged(pool)) === 3)
})

t.test('while the log lacks what it rests on nothing is expunged', async (t) => {
  const { pool } = await database(t)
  await storeEnded(pool, 3)
  const ground: { fault: string | null } = { fault: 'The trigger project of message_events is off.' }
  const healthy = failFirst(pool, 0)
  start(t, healthy.pool, 1, ground)
  // Another loop on the same clock has come to its second piece: this one has passed over its first.
  const other = failFirst(pool, Infinity)
  start(t, other.pool, 1, { fault: null })
  await until('two rounds', () => other.asked.length >= 2)
  t.strictSame(healthy.asked, [])
  ground.fault = null
  await until('all to be expunged', async () => (await countExpunged(pool)) === 3)
})
