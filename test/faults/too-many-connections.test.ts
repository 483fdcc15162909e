import { randomBytes } from 'node:crypto'
import pg from 'pg'
import t, { type Test } from 'tap'
import { database, type TestDatabase } from '../support/database.ts'
import { setUpLine } from '../support/line.ts'
import { ensureTestPostgres } from '../support/postgres.ts'
import { isReady, readMetric, startService, type Service } from '../support/service.ts'
import { until } from '../support/until.ts'

/** An empty database of a role that may be kept from connecting: what a server without a connection to spare answers (53300). */
async function limitable(
  t: Test,
): Promise<TestDatabase & { role: string; limit(connections: number): Promise<void> }> {
  const role = `tqp_test_${process.pid}_${randomBytes(4).toString('hex')}`
  const admin = new pg.Client({ connectionString: await ensureTestPostgres() })
  await admin.connect()
  await admin.query(`create role ${role} login password 'app'`)
  t.teardown(async () => {
    await admin.query(`drop role ${role}`)
    await admin.end()
  })
  // Registered after the role, and so dropped before it.
  const { url, pool } = await database(t, { empty: true })
  const name = new URL(url).pathname.slice(1)
  await admin.query(`alter database ${name} owner to ${role}`)
  const own = new URL(url)
  own.username = role
  own.password = 'app'
  return {
    url: own.href,
    pool,
    role,
    limit: async (connections) => {
      await admin.query(`alter role ${role} connection limit ${connections}`)
    },
  }
}

const tooMany = /too many connections/

function linesOf(service: Service, event: string): Record<string, unknown>[] {
  return service.log.filter((line) => line.event === event && tooMany.test(String(line.reason)))
}

t.test('a server that has no connection to spare is waited for, at the start and later', async (t) => {
  const given = await limitable(t)
  const line = await setUpLine(t, ['--success', '1', '--latency', '20'], { database: given })
  await given.limit(0)
  const service = await startService(t, { ...line.settings, DOWNSTREAM_TIMEOUT: '10', LEASE: '12' })
  await line.produce(100)
  await until('a few tries', () => linesOf(service, 'waiting for PostgreSQL').length >= 3)
  t.equal((await fetch(`${service.url}/status`)).status, 503)
  // Lines of one second are not more than its tries.
  const times = linesOf(service, 'waiting for PostgreSQL').map(({ time }) =>
    new Date(time as string).getTime(),
  )
  t.ok(
    times.slice(1).every((time, at) => time - (times[at] ?? 0) >= 900),
    'one line a try, and a try a second',
  )
  await given.limit(-1)
  await isReady(service)
  t.match(await line.settled(100), { success: 100 })

  const producing = line.produce(500, 200)
  await until('work to be under way', async () => (await line.counts()).success > 120)
  await given.limit(0)
  await given.pool.query('select pg_terminate_backend(pid) from pg_stat_activity where usename = $1', [
    given.role,
  ])
  await until('the listener to tell', () => linesOf(service, 'listener cannot connect').length > 0)
  await until('the consumer to tell', async () => {
    const status = (await (await fetch(`${service.url}/status`)).json()) as {
      consumer: { last_error: string | null }
    }
    return tooMany.test(status.consumer.last_error ?? '')
  })
  await producing
  await given.limit(-1)
  t.match(await line.settled(600), { success: 600 })
  await isReady(service)
  t.equal((await line.ledger()).length, 600, 'each was sent once')
  t.equal(await readMetric(service, 'tqp_missed_wakeups_total'), 0)
  await line.isClean(t)
})
