import t from 'tap'
import { database } from '../support/database.ts'
import { setUpLine } from '../support/line.ts'
import { createRole } from '../support/roles.ts'
import { readMetric, startReadyService } from '../support/service.ts'

t.test(
  'owner and service work whatever their roles have for a default, and no retry is left behind',
  async (t) => {
    const empty = await database(t, { empty: true })
    const owner = await createRole(t, empty, 'owner')
    const role = await createRole(t, empty)
    await empty.pool.query(`grant ${owner.name} to current_user`)
    await empty.pool.query(`alter database ${new URL(empty.url).pathname.slice(1)} owner to ${owner.name}`)
    for (const { name } of [owner, role]) {
      for (const setting of [
        `datestyle = 'SQL, DMY'`,
        `timezone = 'Asia/Kolkata'`,
        'search_path = other',
        `default_transaction_isolation = 'serializable'`,
        `idle_session_timeout = '2s'`,
        'jit = on',
      ])
        await empty.pool.query(`alter role ${name} set ${setting}`)
    }
    const line = await setUpLine(t, ['--success', '0.5'], {
      database: { ...empty, url: role.url },
    })
    const service = await startReadyService(t, {
      ...line.settings,
      MAX_RETRIES: '20',
      MAX_DELAY: '0.2',
      MIGRATE_DATABASE_URL: owner.url,
    })
    await line.produce(60)
    t.match(await line.settled(60), { success: 60 })
    t.equal(await readMetric(service, 'tqp_missed_wakeups_total'), 0)
    t.notOk(
      service.log.some(({ event }) => event === 'lane waits' || event === 'listener down'),
      'nobody lost a race, and the listener is not idle',
    )
    await line.isClean(t)
  },
)
