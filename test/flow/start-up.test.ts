import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import t from 'tap'
import { startBroker } from '../support/kafka.ts'
import { setUpLine } from '../support/line.ts'
import { startProxy } from '../support/proxy.ts'
import { isReady, startService } from '../support/service.ts'
import { until } from '../support/until.ts'
import { addressOf, throughPort } from '../wake/start-listener.ts'

t.jobs = 3

t.test(
  'a start waits for PostgreSQL and then for Kafka, says so line by line, and then works',
  { buffered: true },
  async (t) => {
    const broker = await startBroker(t)
    const line = await setUpLine(t, ['--success', '1'], { brokers: broker.brokers })
    const databaseUrl = line.settings.DATABASE_URL!
    const proxy = await startProxy(t, addressOf(databaseUrl))
    await line.produce(10)
    await proxy.refuse(true)
    await broker.kill('SIGKILL')
    const service = await startService(t, {
      ...line.settings,
      DATABASE_URL: throughPort(databaseUrl, proxy.port),
    })
    const says = (event: string) => service.log.filter((each) => each.event === event).length
    await until('lines about PostgreSQL', () => says('waiting for PostgreSQL') >= 2)
    const status = await fetch(`${service.url}/status`)
    t.equal(status.status, 503)
    t.match(await status.json(), { status: 'unhealthy', database: 'disconnected', starting: 'PostgreSQL' })
    t.ok((await fetch(`${service.url}/healthz`)).ok, 'it lives')

    await proxy.refuse(false)
    await until('lines about Kafka', () => says('waiting for Kafka') >= 2)
    t.match(await (await fetch(`${service.url}/status`)).json(), {
      status: 'unhealthy',
      database: 'connected',
    })

    await broker.restart()
    await isReady(service)
    await line.settled(10)
    t.equal((await fetch(`${service.url}/status`)).status, 200)
    await line.isClean(t)
  },
)

t.test('a port that is taken ends the start with one sentence', { buffered: true }, async (t) => {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  t.teardown(() => holder.close())
  const { port } = holder.address() as AddressInfo
  const nowhere = '127.0.0.1:1'
  const service = await startService(t, {
    PORT: String(port),
    DATABASE_URL: `postgresql://nobody@${nowhere}/none`,
    KAFKA_BROKER: nowhere,
    DOWNSTREAM_URL: `http://${nowhere}/`,
  })
  t.equal(await service.ended, 1)
  t.match(service.errors(), new RegExp(`^[^\\n]*${port}[^\\n]*\\n$`))
})

t.test(
  'in production each missing setting is named in a sentence, all at once',
  { buffered: true },
  async (t) => {
    const service = await startService(t, { NODE_ENV: 'production' })
    t.equal(await service.ended, 1)
    const sentences = service.errors().trimEnd().split('\n')
    t.equal(sentences.length, 3, service.errors())
    for (const name of ['DATABASE_URL', 'KAFKA_BROKER', 'DOWNSTREAM_URL']) {
      t.ok(
        sentences.some((sentence) => sentence.startsWith(name) && sentence.endsWith('.')),
        name,
      )
    }
  },
)
