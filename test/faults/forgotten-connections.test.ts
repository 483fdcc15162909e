import t from 'tap'
import { setUpLine } from '../support/line.ts'
import { startProxy } from '../support/proxy.ts'
import { startReadyService } from '../support/service.ts'
import { until } from '../support/until.ts'
import { addressOf, throughPort } from '../wake/start-listener.ts'

t.test(
  'after a quiet spell in which idle connections were forgotten, payments go on within seconds',
  async (t) => {
    const line = await setUpLine(t, ['--success', '1'])
    const databaseUrl = line.settings.DATABASE_URL!
    const proxy = await startProxy(t, addressOf(databaseUrl))
    const service = await startReadyService(t, {
      ...line.settings,
      DATABASE_URL: throughPort(databaseUrl, proxy.port),
      LISTEN_DATABASE_URL: databaseUrl,
    })
    await line.produce(50)
    await line.settled(50)
    // All but the one that is used every few seconds, to prove that notifications come through.
    await until('a quiet spell', () => {
      const forgotten = proxy.forget(11_000)
      return forgotten > 0 && forgotten >= proxy.connections - 1
    })
    const startedAt = performance.now()
    await line.produce(20)
    t.equal(
      (await fetch(`${service.url}/transactions`)).status,
      200,
      'nor does who asks the API have to ask twice',
    )
    t.match(await line.settled(70), { success: 70 })
    // A statement on a forgotten connection takes 35 s to fail.
    t.ok(performance.now() - startedAt < 20_000, 'before any statement was given up')
    t.notOk(service.log.some(({ event }) => event === 'partition held' || event === 'lane waits'))
    await line.isSentOnce(t)
    await line.isClean(t)
  },
)
