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
      database: /^connected$/,
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

t.test(
  'in production its output is JSON alone, from the first line to the last',
  { buffered: true },
  async (t) => {
    const nowhere = '127.0.0.1:1'
    const service = await startService(t, {
      NODE_ENV: 'production',
      DATABASE_URL: `postgresql://a:b@${nowhere}/c`,
      KAFKA_BROKER: nowhere,
      DOWNSTREAM_URL: `http://${nowhere}/`,
    })
    t.ok((await fetch(`${service.url}/healthz`)).ok, 'where it serves is in the first line')
    service.kill('SIGTERM')
    t.equal(await service.ended, 0)
    t.equal(service.errors(), '')
    const lines = service.output().trimEnd().split('\n')
    t.match(JSON.parse(lines[0] ?? ''), { event: 'serving', host: '127.0.0.1', port: Number })
    for (const line of lines) t.doesNotThrow(() => JSON.parse(line) as unknown, line)
  },
)

t.test(
  'each faulty setting ends the start in a sentence that names it, all at once and without a secret',
  { buffered: true },
  async (t) => {
    const settings = {
      DOWNSTREAM_TIMEOUT: '60',
      LEASE: '60',
      MAX_RETRIES: '-1',
      MAX_CONCURRENT: '1e9',
      MAX_CONCURRENT_RETRIES: 'NaN',
      BASE_DELAY: '10s',
      MAX_DELAY: '2147483.648',
      DOWNSTREAM_URL: 'processor:8001/process',
      DATABASE_URL: 'postgresql://alice:hunter2@db-pooler.example.org/t',
      KAFKA_BROKER: 'kafka',
      KAFKA_SASL_PASSWORD: 'hunter2',
      MAX_RETRY: '3',
    }
    const service = await startService(t, settings)
    t.equal(await service.ended, 1)
    const sentences = service.errors().trimEnd().split('\n')
    const expected = [
      /^LEASE must be at least DOWNSTREAM_TIMEOUT \+ 1 second/,
      /^MAX_RETRIES is "-1": it must be a whole number from 0 to 1000\.$/,
      /^MAX_CONCURRENT is "1e9": it must be a whole number/,
      /^MAX_CONCURRENT_RETRIES is "NaN": it must be a whole number/,
      /^BASE_DELAY is "10s": it must be a number of seconds/,
      /^MAX_DELAY is "2147483.648": it must be a number of seconds from 0 to 2147483.647\.$/,
      /^DOWNSTREAM_URL is not a URL that starts with http:\/\/ or https:\/\/\.$/,
      /^DATABASE_URL names a connection pooler, which drops LISTEN/,
      /^KAFKA_BROKER must be a list/,
      /^KAFKA_SASL_MECHANISM and KAFKA_SASL_USERNAME must be set too/,
      /^MAX_RETRY is not a setting: did you mean MAX_RETRIES\?$/,
    ]
    t.equal(sentences.length, expected.length, service.errors())
    for (const sentence of expected)
      t.ok(
        sentences.some((each) => sentence.test(each)),
        String(sentence),
      )
    t.notMatch(service.errors() + service.output(), 'hunter2')
    t.equal(service.output(), '', 'nothing was started')
  },
)
