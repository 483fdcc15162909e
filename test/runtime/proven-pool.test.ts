import t, { type Test } from 'tap'
import { ProvenPool } from '../../src/runtime/proven-pool.ts'
import { database } from '../support/database.ts'
import { startProxy } from '../support/proxy.ts'
import { addressOf, throughPort } from '../wake/start-listener.ts'

/** A pool that trusts nothing idle, with its four connections open and idle. */
async function idlePool(t: Test) {
  const { url } = await database(t)
  const proxy = await startProxy(t, addressOf(url))
  const pool = new ProvenPool({ connectionString: throughPort(url, proxy.port), max: 4 }, 0)
  pool.on('error', () => undefined)
  // The proxy first: what it forgot never says farewell.
  t.teardown(async () => {
    await proxy.stop()
    await pool.end()
  })
  const pids = await Promise.all(Array.from({ length: 4 }, () => pidOf(pool)))
  t.equal(new Set(pids).size, 4)
  return { pool, proxy, pids }
}

async function pidOf(pool: ProvenPool): Promise<number> {
  const { rows } = await pool.query<{ pid: number }>('select pg_backend_pid() as pid from pg_sleep(0.1)')
  return rows[0]!.pid
}

t.test('an idle connection that leads somewhere is used again', async (t) => {
  const { pool, pids } = await idlePool(t)
  t.ok(pids.includes(await pidOf(pool)))
  const client = await pool.connect()
  client.release()
  t.equal(pool.totalCount, 4)
})

t.test('what was forgotten on the way is replaced by new connections, for one wait in all', async (t) => {
  const { pool, proxy, pids } = await idlePool(t)
  proxy.forget()
  const startedAt = performance.now()
  const fresh = await pidOf(pool)
  // Each of the four asked would be four seconds.
  t.ok(performance.now() - startedAt < 3_500, 'within the wait for one answer')
  t.notOk(pids.includes(fresh))
  const others = await Promise.all(Array.from({ length: 4 }, () => pidOf(pool)))
  t.notOk(
    others.some((pid) => pids.includes(pid)),
    'nobody else is given one of these',
  )
  const client = await pool.connect()
  t.same((await client.query('select 1 as one')).rows, [{ one: 1 }], 'nor who asks for a connection itself')
  client.release()
})

t.test('a pool that cannot connect says so', async (t) => {
  const pool = new ProvenPool({ connectionString: 'postgresql://nobody@127.0.0.1:1/none' })
  t.teardown(() => pool.end())
  await t.rejects(pool.query('select 1'), { code: 'ECONNREFUSED' })
  await t.rejects(pool.connect(), { code: 'ECONNREFUSED' })
})
