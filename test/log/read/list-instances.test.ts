import t from 'tap'
import pg from 'pg'
import { listInstances } from '../../../src/log/read/list-instances.ts'
import { registerInstance } from '../../../src/log/write/register-instance.ts'
import { migrate } from '../../../src/runtime/migrate.ts'
import { database } from '../../support/database.ts'
import { createRole } from '../../support/roles.ts'
import { until } from '../../support/until.ts'

t.test(
  'who has a session is listening, and whoever is named is listed, by the service’s own role',
  async (t) => {
    const own = await database(t)
    const role = await createRole(t, own)
    await migrate({ connectionString: own.url }, role.name)
    const settings = {
      freshMax: 1,
      retryMax: 1,
      leaseMs: 1,
      timeoutMs: 1,
      keyWindowMs: null,
      inquiryGapMs: null,
    }
    const retry = { retriesMax: 1, baseDelayMs: 1, maxDelayMs: 1 }
    for (const instance of ['one', 'two', 'long-gone'])
      await registerInstance(own.pool, { instance, release: '1.2.3', ...settings, retry })
    const service = new pg.Pool({ connectionString: role.url, max: 1 })
    t.teardown(() => service.end())
    const session = new pg.Client({
      connectionString: own.url,
      application_name: 'transaction-queue-proxy listen two',
    })
    await session.connect()
    const known = { release: '1.2.3', startedAt: /^\d{4}-\d\d-\d\dT.*\.\d{6}Z$/ }
    t.match(await listInstances(service, ['one', 'unheard-of']), [
      { name: 'one', isListening: false, ...known },
      { name: 'two', isListening: true, ...known },
      { name: 'unheard-of', isListening: false, release: null, startedAt: null },
    ])
    await session.end()
    await until('its session to be gone', async () => (await listInstances(service, [])).length === 0)
  },
)
