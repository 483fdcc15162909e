import t, { type Test } from 'tap'
import { migrate } from '../../src/runtime/migrate.ts'
import { leadsToPooler } from '../../src/runtime/pooler.ts'
import { database } from '../support/database.ts'
import { setUpLine } from '../support/line.ts'
import { startPgbouncer, withoutPgbouncer } from '../support/pgbouncer.ts'
import { startProxy } from '../support/proxy.ts'
import { isReady, readMetric, startReadyService, startService } from '../support/service.ts'
import { until } from '../support/until.ts'
import { addressOf, throughPort } from '../wake/start-listener.ts'

// They wait for most of their time.
t.jobs = 2

const skip = withoutPgbouncer
const limit = 'set statement_timeout = 30000'

/**
 * A line whose service works through a pooler, and has retries enough for an outage of it. The processor has time enough, so that it is not
 * held on a machine that is busy with other tests.
 */
async function startBehindPooler(t: Test) {
  const { url, pool } = await database(t)
  const line = await setUpLine(t, ['--success', '0.7', '--latency', '10'], { database: { url, pool } })
  const pooler = await startPgbouncer(t, url, limit)
  const service = await startReadyService(t, {
    ...line.settings,
    DATABASE_URL: pooler.url,
    LISTEN_DATABASE_URL: url,
    MAX_RETRIES: '20',
    DOWNSTREAM_TIMEOUT: '10',
    LEASE: '20',
  })
  return { pool, line, pooler, service }
}

t.test(
  'behind a transaction pooler nothing is lost, also when the pooler is killed',
  { buffered: true, skip },
  async (t) => {
    const { pool, line, pooler, service } = await startBehindPooler(t)
    const producing = line.produce(2_000, 400)
    await until('work to be under way', async () => (await line.counts()).success > 300)
    const { rows } = await pool.query<{ sessions: number }>(
      `select count(*)::int as sessions from pg_stat_activity
      where datname = current_database() and application_name = 'transaction-queue-proxy'`,
    )
    t.ok(rows[0]!.sessions > 1 && rows[0]!.sessions <= 4, 'its fourteen connections share the four sessions')
    await pooler.kill()
    await until('the outage to be shown', async () => (await fetch(`${service.url}/status`)).status === 503)
    await pooler.restart()
    await producing
    await line.settled(2_000)

    t.notOk(
      service.log.some(({ reason }) => /prepared statement/.test(String(reason))),
      'no statement was prepared by name',
    )
    t.equal(await readMetric(service, 'tqp_missed_wakeups_total'), 0)
    await line.isSentOnce(t)
    await line.isClean(t)
  },
)

t.test(
  'a pooler that freezes under load, and is then started anew, costs time and nothing else',
  { buffered: true, skip },
  async (t) => {
    const { line, pooler, service } = await startBehindPooler(t)
    const producing = line.produce(1_500, 300)
    await until('work to be under way', async () => (await line.counts()).success > 100)
    pooler.freeze()
    const isDown = async () => {
      const status = await fetch(`${service.url}/status`)
      return status.status === 503 && /The database does not answer/.test(await status.text())
    }
    await until('the outage to be shown', isDown)
    pooler.thaw()
    await isReady(service)
    pooler.freeze()
    await until('the second outage to be shown', isDown)
    await pooler.kill()
    await pooler.restart()
    await producing
    await line.settled(1_500)
    t.notOk(
      service.log.some(({ event }) => event === 'destination held'),
      'an outage of the database does not count against the processor',
    )
    t.equal(await readMetric(service, 'tqp_missed_wakeups_total'), 0)
    await line.isSentOnce(t)
    await line.isClean(t)
  },
)

t.test(
  'sessions of a pooler that have no time limit are not used, and are as soon as they have one',
  { buffered: true, skip },
  async (t) => {
    const { url, pool } = await database(t)
    const line = await setUpLine(t, ['--success', '1'], { database: { url, pool } })
    const pooler = await startPgbouncer(t, url, null)
    const service = await startService(t, {
      ...line.settings,
      DATABASE_URL: pooler.url,
      LISTEN_DATABASE_URL: url,
    })
    await line.produce(20)
    const sentence =
      /the connection pooler's sessions have no statement_timeout: give them one of at most 30000 ms/
    await until('the reason to be told', () =>
      service.log.some(({ reason }) => sentence.test(String(reason))),
    )
    const status = (await (await fetch(`${service.url}/status`)).json()) as { database_error: string }
    t.match(status, { status: 'unhealthy', database: 'disconnected', database_error: sentence })
    t.match(await line.counts(), { success: 0, pending: 0 })

    const name = new URL(url).pathname.slice(1)
    await pool.query(`alter database ${name} set statement_timeout = '20s'`)
    // As RECONNECT on PgBouncer's console does: its sessions are from before.
    await pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()`,
      [name],
    )
    await isReady(service)
    t.match(await line.settled(20), { success: 20 })
  },
)

t.test(
  'a pooler where a direct connection is needed ends the start with a sentence',
  { buffered: true, skip },
  async (t) => {
    const { url } = await database(t)
    const pooler = await startPgbouncer(t, url, limit)
    const service = await startService(t, {
      DATABASE_URL: pooler.url,
      KAFKA_BROKER: '127.0.0.1:1',
      DOWNSTREAM_URL: 'http://127.0.0.1:1',
    })
    t.equal(await service.ended, 1)
    t.match(
      service.errors(),
      /^DATABASE_URL leads to a connection pooler, which drops LISTEN: set LISTEN_DATABASE_URL to a direct connection\.$/m,
    )
    await t.rejects(migrate({ connectionString: pooler.url }), {
      message:
        /^Migrations hold a lock of their session and were led to a connection pooler: name a direct one /,
    })
    const proxy = await startProxy(t, addressOf(url))
    t.equal(
      await leadsToPooler({ connectionString: throughPort(url, proxy.port) }),
      false,
      'what only forwards bytes is as good as a direct connection',
    )
  },
)
