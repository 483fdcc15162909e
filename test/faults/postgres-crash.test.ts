import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { setUpLine } from '../support/line.ts'
import { startOwnPostgres } from '../support/own-postgres.ts'
import { readMetric, startReadyService } from '../support/service.ts'
import { until } from '../support/until.ts'

t.test(
  'a crash of PostgreSQL under load is survived without a restart, and nothing paid is sent again',
  async (t) => {
    const postgres = await startOwnPostgres(t)
    const line = await setUpLine(t, ['--success', '1', '--latency', '30'], { database: postgres })
    const service = await startReadyService(t, { ...line.settings, MAX_CONCURRENT: '50' })
    const producing = line.produce(4_000, 500)
    await until('work to be under way', async () => (await line.counts()).success > 300)

    postgres.crash()
    await sleep(4_000)
    const paidBefore = new Set((await line.ledger()).map((entry) => entry.key))
    t.equal((await fetch(`${service.url}/status`)).status, 503, 'the outage is shown')
    await postgres.restart()
    await producing
    await line.settled(4_000)

    const requests = new Map<string | null, number>()
    for (const { key } of await line.ledger()) requests.set(key, (requests.get(key) ?? 0) + 1)
    const again = [...paidBefore].filter((key) => (requests.get(key) ?? 0) > 1)
    t.same(again, [], 'what had been accepted before the outage was not sent again')
    t.equal(await readMetric(service, 'tqp_missed_wakeups_total'), 0)
    await line.isSentOnce(t)
    await line.isClean(t)
  },
)
