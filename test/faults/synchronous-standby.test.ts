import pg from 'pg'
import t from 'tap'
import { prepareSession } from '../../src/runtime/prepare-session.ts'
import { setUpLine } from '../support/line.ts'
import { startOwnPostgres, type OwnPostgres } from '../support/own-postgres.ts'
import { isReady, readMetric, startReadyService } from '../support/service.ts'
import { until } from '../support/until.ts'

/** From now on every commit waits for a standby that does not confirm it, or no longer: as when it is frozen, and when it is back. */
async function freezeStandby(postgres: OwnPostgres, isFrozen: boolean): Promise<void> {
  const names = isFrozen ? 'a_standby_that_is_frozen' : ''
  await postgres.pool.query(`alter system set synchronous_standby_names = '${names}'`)
  await postgres.pool.query('select pg_reload_conf()')
  if (isFrozen) await commitsWait(postgres)
}

/** The setting holds once the server's checkpointer has read it, whatever a session of its own says: so commits are tried. */
async function commitsWait(postgres: OwnPostgres): Promise<void> {
  let committing: Promise<void> | null = null
  const ended = () => void (committing = null)
  await until('a commit to wait for the standby', async () => {
    committing ??= postgres.pool
      .query(`select pg_logical_emit_message(true, 'is it confirmed?', '')`)
      .then(ended, ended)
    const { rows } = await postgres.pool.query(
      `select from pg_stat_activity where wait_event = 'SyncRep' and query like '%is it confirmed?%'`,
    )
    return rows.length > 0
  })
}

async function countSessions(postgres: OwnPostgres, pattern: string): Promise<number> {
  const { rows } = await postgres.pool.query<{ sessions: number }>(
    `select count(*)::int as sessions from pg_stat_activity where application_name like $1`,
    [pattern],
  )
  return rows[0]!.sessions
}

t.test('while a synchronous standby hangs, sessions do not pile up, and the reason is told', async (t) => {
  const postgres = await startOwnPostgres(t)
  const line = await setUpLine(t, ['--success', '1', '--latency', '20'], { database: postgres })
  const service = await startReadyService(t, line.settings)
  await line.produce(50)
  await line.settled(50)
  await freezeStandby(postgres, true)
  await line.produce(50)
  const failures = () => service.log.filter(({ event }) => event === 'listener cannot connect').length
  await until('the listener to have tried often', () => failures() >= 4)
  const sessions = await countSessions(postgres, 'transaction-queue-proxy listen %')
  t.ok(
    sessions <= 3,
    `${sessions} sessions of the listener: one that waits for the standby, one that tries, and one that ends`,
  )
  t.ok((await countSessions(postgres, 'transaction-queue-proxy')) <= 14, 'no more than both pools may have')
  const answer = await fetch(`${service.url}/status`)
  t.equal(answer.status, 503)
  t.match(
    ((await answer.json()) as { detail: string }).detail,
    /Commits wait for a synchronous standby that does not confirm, one for \d+ s\./,
  )
  t.equal((await fetch(`${service.url}/readyz`)).status, 503)

  await freezeStandby(postgres, false)
  await isReady(service)
  t.match(await line.settled(100), { success: 100 })
  t.equal(await readMetric(service, 'tqp_missed_wakeups_total'), 0)
  await line.isSentOnce(t)
  await line.isClean(t)
})

t.test(
  'beside sessions that were given up and wait for a standby no other is opened, nor are they cut short',
  async (t) => {
    const postgres = await startOwnPostgres(t)
    const open = async (): Promise<pg.Client> => {
      const client = new pg.Client({
        connectionString: postgres.url,
        application_name: 'transaction-queue-proxy',
      })
      client.on('error', () => undefined)
      t.teardown(() => client.end())
      await client.connect()
      return client
    }
    const limits = { statementTimeoutMs: 200, lockTimeoutMs: 100 }
    const first = await open()
    await prepareSession(first, limits)
    await first.query('create table kept (n int)')
    await freezeStandby(postgres, true)
    const committing = first.query('insert into kept values (1)')
    const sentence = 'commits that were given up still wait for a synchronous standby (sessions: 1)'
    await until('the next session to be refused', async () =>
      prepareSession(await open(), limits).then(
        () => false,
        (error: unknown) => (error as Error).message === sentence,
      ),
    )
    const { rows } = await postgres.pool.query('select from kept')
    t.equal(rows.length, 0, 'what is not confirmed is not to be seen')
    await freezeStandby(postgres, false)
    await committing
    await prepareSession(await open(), limits)
  },
)
