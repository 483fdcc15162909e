import pg from 'pg'
import t, { type Test } from 'tap'
import { database } from '../support/database.ts'
import { startProxy } from '../support/proxy.ts'
import { startService, type Service } from '../support/service.ts'
import { until } from '../support/until.ts'
import { addressOf, throughPort } from '../wake/start-listener.ts'

t.jobs = 2

const nowhere = '127.0.0.1:1'

/** The settings of a service that comes no further than its database. */
function settingsFor(url: string): Record<string, string> {
  return { DATABASE_URL: url, KAFKA_BROKER: nowhere, DOWNSTREAM_URL: `http://${nowhere}/` }
}

/** A session that holds the lock of migrations, as an instance does that is frozen in the middle of one. */
async function holdMigrations(t: Test, url: string): Promise<{ pid: number; release: () => Promise<void> }> {
  const client = new pg.Client({ connectionString: url, application_name: 'psql' })
  client.on('error', () => undefined)
  await client.connect()
  t.teardown(() => client.end())
  const { rows } = await client.query<{ pid: number }>(
    'select pg_backend_pid() as pid from pg_advisory_lock(7233841902)',
  )
  const release = async () => {
    await client.query('select pg_advisory_unlock(7233841902)')
  }
  return { pid: rows[0]!.pid, release }
}

function reasons(service: Service): string[] {
  return service.log
    .filter(({ event }) => event === 'waiting for PostgreSQL')
    .map(({ reason }) => String(reason))
}

t.test(
  'a start that waits for the lock of migrations names who holds it, line by line, and goes on when it is free',
  { buffered: true },
  async (t) => {
    const { url } = await database(t)
    const holder = await holdMigrations(t, url)
    const service = await startService(t, settingsFor(url))
    const sentence = `process ${holder.pid} (psql, idle) holds the lock of migrations`
    await until(
      'two lines that name it',
      () => reasons(service).filter((each) => each === sentence).length >= 2,
    )
    t.match(await (await fetch(`${service.url}/status`)).json(), {
      status: 'unhealthy',
      starting: 'migrations',
    })
    await holder.release()
    await until('the start to go on', () => service.log.some(({ event }) => event === 'started'))
  },
)

t.test('SIGTERM ends a start that waits for the lock of migrations', { buffered: true }, async (t) => {
  const { url } = await database(t)
  await holdMigrations(t, url)
  const service = await startService(t, settingsFor(url))
  await until('it to wait', () => reasons(service).length > 0)
  service.kill('SIGTERM')
  t.equal(await service.ended, 0)
  t.notOk(service.log.some(({ event }) => event === 'stopped before the drain ended'))
})

t.test(
  'a start whose migration gets no answer says so once in a while, and SIGTERM ends it',
  { buffered: true },
  async (t) => {
    const { url, pool } = await database(t)
    const { pid } = await holdMigrations(t, url)
    const proxy = await startProxy(t, addressOf(url))
    const service = await startService(t, {
      ...settingsFor(url),
      MIGRATE_DATABASE_URL: throughPort(url, proxy.port),
    })
    await until('the migration to wait on the server', async () => {
      const { rowCount } = await pool.query(
        'select from pg_stat_activity where $1 = any (pg_blocking_pids(pid))',
        [pid],
      )
      return rowCount === 1
    })
    proxy.blackhole(true)
    await until('a line that says so', () =>
      reasons(service).some((each) => /^migrations: no answer for \d+ s$/.test(each)),
    )
    service.kill('SIGTERM')
    t.equal(await service.ended, 0)
  },
)

t.test(
  'a start that connects for its migration and is never answered says so, and SIGTERM ends it',
  { buffered: true },
  async (t) => {
    const { url } = await database(t)
    const proxy = await startProxy(t, addressOf(url))
    proxy.blackhole(true)
    const service = await startService(t, {
      ...settingsFor(url),
      MIGRATE_DATABASE_URL: throughPort(url, proxy.port),
    })
    await until('a line that says so', () => reasons(service).some((each) => /timeout/.test(each)))
    service.kill('SIGTERM')
    t.equal(await service.ended, 0)
  },
)
