import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { setUpLine } from '../support/line.ts'
import { startProxy } from '../support/proxy.ts'
import { readMetric, startReadyService } from '../support/service.ts'
import { addressOf, throughPort } from '../wake/start-listener.ts'

t.test('connections cut at any moment of a commit lose nothing and send nothing twice', async (t) => {
  const line = await setUpLine(t, ['--success', '0.8', '--latency', '20'])
  const databaseUrl = line.settings.DATABASE_URL!
  const proxy = await startProxy(t, addressOf(databaseUrl))
  const service = await startReadyService(t, {
    ...line.settings,
    DATABASE_URL: throughPort(databaseUrl, proxy.port),
    // The listener stays up: its reconnect must not be what makes up for a lost answer.
    LISTEN_DATABASE_URL: databaseUrl,
    DOWNSTREAM_TIMEOUT: '5',
    LEASE: '10',
  })
  const producing = line.produce(3_000, 300)
  for (let cut = 0; cut < 20; cut++) {
    await sleep(200 + 600 * Math.random())
    // Every other time the statements still reach the server, and only their answers are lost.
    if (cut % 2 === 0) proxy.freeze('toClient')
    await sleep(20 * Math.random())
    proxy.cut()
    proxy.thaw()
  }
  await producing
  await line.settled(3_000)

  t.ok(
    service.log.some(({ event }) => event === 'took up attempts whose commit was not confirmed'),
    'answers of claims were lost',
  )
  await line.isSentOnce(t)
  t.equal(await readMetric(service, 'tqp_missed_wakeups_total'), 0)
  await line.isClean(t)
})
