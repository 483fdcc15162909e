import t from 'tap'
import { database } from '../support/database.ts'
import { setUpLine } from '../support/line.ts'
import { startProxy } from '../support/proxy.ts'
import { readMetric, startReadyService, startService } from '../support/service.ts'
import { until } from '../support/until.ts'
import { addressOf, throughPort } from '../wake/start-listener.ts'

t.test('what became due while only the LISTEN session was gone is picked up when it is back', async (t) => {
  const line = await setUpLine(t, ['--status', '400'])
  const databaseUrl = line.settings.DATABASE_URL!
  const proxy = await startProxy(t, addressOf(databaseUrl))
  const service = await startReadyService(t, {
    ...line.settings,
    LISTEN_DATABASE_URL: throughPort(databaseUrl, proxy.port),
  })
  await line.produce(5)
  t.match(await line.settled(5), { dead_letter: 5 })

  await proxy.refuse(true)
  const { rowCount } = await line.pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name like 'transaction-queue-proxy listen %'`,
  )
  t.equal(rowCount, 1, 'there was one LISTEN session')
  await until('the listener to be down', async () => !(await fetch(`${service.url}/readyz`)).ok)
  // As another instance would: this one hears of it by NOTIFY or not at all.
  await line.pool.query(
    `select replay_messages(array_agg(transaction_id), 'test', 'the listener is down', null) from messages`,
  )
  t.match(await line.counts(), { pending: 5 })

  await proxy.refuse(false)
  t.match(await line.settled(5), { dead_letter: 5 })
  t.equal((await line.ledger()).length, 10)
  t.equal(await readMetric(service, 'tqp_missed_wakeups_total'), 0)
  await line.isClean(t)
})

for (const name of ['LISTEN_DATABASE_URL', 'MIGRATE_DATABASE_URL']) {
  t.test(`${name} that leads to another database is told, and nothing is migrated there`, async (t) => {
    const line = await setUpLine(t)
    const other = await database(t, { empty: true })
    const service = await startService(t, { ...line.settings, [name]: other.url })
    const sentence = new RegExp(`${name} leads to another database than DATABASE_URL`)
    await until('the reason to be told', () =>
      service.log.some(
        ({ event, reason }) => event === 'waiting for PostgreSQL' && sentence.test(String(reason)),
      ),
    )
    const status = await fetch(`${service.url}/status`)
    t.equal(status.status, 503)
    t.match(await status.json(), { status: 'unhealthy', detail: sentence })
    const { rows } = await other.pool.query("select from pg_class where relname = 'schema_migrations'")
    t.equal(rows.length, 0)
  })
}
