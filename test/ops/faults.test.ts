import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Kafka, logLevel } from 'kafkajs'
import pg from 'pg'
import t, { type Test } from 'tap'
import { rulesPath } from '../support/alert-rules.ts'
import type { TestDatabase } from '../support/database.ts'
import { findFreePort } from '../support/free-port.ts'
import { startKafka } from '../support/kafka.ts'
import { setUpLine, type Line } from '../support/line.ts'
import { startMock } from '../support/mock.ts'
import { startOwnPostgres } from '../support/own-postgres.ts'
import { program } from '../support/program.ts'
import { startPrometheus, withoutPrometheus, type Prometheus } from '../support/prometheus.ts'
import { startProxy, type Proxy } from '../support/proxy.ts'
import { isReady, startReadyService, type Service } from '../support/service.ts'
import { shortenRules } from '../support/shorten-rules.ts'
import { until } from '../support/until.ts'
import { addressOf, throughPort } from '../wake/start-listener.ts'

/** Each time of the rules is so many times shorter here. */
const factor = 6
// Four services, each with its own faults one after the other, and all that a slow machine needs.
t.setTimeout(1_500_000)
const waitMs = 600_000

/** What was measured, as the table in docs/operate.md has it. */
const measured: { alert: string; fault: string; cure: string; firesS: number; closesS: number }[] = []

type Job = 'tqp-parts' | 'tqp-processor' | 'tqp-records' | 'tqp-speed'

/** A service that Prometheus scrapes as a job of its own. */
type Watched = {
  t: Test
  line: Line
  job: Job
  prometheus: Prometheus
  /** What leads the service to one of its processors. */
  processor: Proxy
  expected: Set<string>
}

t.test(
  'each fault of a running service fires its alert and none else, and the alert closes after it',
  { skip: withoutPrometheus },
  async (t) => {
    const brokers = await startKafka(t)
    // Servers of our own: an open transaction of another test would hold back the watermark here too.
    const [apart, common] = await Promise.all([startOwnPostgres(t), startOwnPostgres(t)])
    const ports: Record<Job, number> = {
      'tqp-parts': await findFreePort(),
      'tqp-processor': await findFreePort(),
      'tqp-records': await findFreePort(),
      'tqp-speed': await findFreePort(),
    }
    const rules = shortenRules(readFileSync(rulesPath, 'utf8'), factor)
    const targets = Object.fromEntries(Object.entries(ports).map(([job, port]) => [job, `127.0.0.1:${port}`]))
    const begin = async (job: Job, given: TestDatabase): Promise<Omit<Watched, 'prometheus'>> => {
      const line = await setUpLine(t, ['--success', '1'], { database: given, brokers })
      const processor = await startProxy(t, { host: '127.0.0.1', port: line.mock.port })
      // Slow answers of a busy machine are no fault here.
      Object.assign(line.settings, { PORT: String(ports[job]), DOWNSTREAM_TIMEOUT: '10', LEASE: '12' })
      line.settings.DOWNSTREAM_URL = `http://127.0.0.1:${processor.port}/process`
      return { t, line, job, processor, expected: new Set() }
    }
    const [parts, processor, records, speed] = await Promise.all([
      begin('tqp-parts', apart),
      begin('tqp-processor', await createDatabase(t, common, 'processor')),
      begin('tqp-records', await createDatabase(t, common, 'records')),
      begin('tqp-speed', await createDatabase(t, common, 'speed')),
    ])
    const lines = [parts, processor, records, speed].map(({ line }) => line)
    const listenProxy = await startProxy(t, addressOf(apart.url))
    const databaseProxy = await startProxy(t, addressOf(apart.url))
    parts.line.settings.DATABASE_URL = throughPort(apart.url, databaseProxy.port)
    parts.line.settings.LISTEN_DATABASE_URL = throughPort(apart.url, listenProxy.port)
    // What has no answer is retried for long, and becomes no dead letter.
    Object.assign(processor.line.settings, {
      BASE_DELAY: '5',
      MAX_DELAY: '10',
      MAX_RETRIES: '50',
      DOWNSTREAM_TIMEOUT: '3',
      LEASE: '6',
    })
    Object.assign(speed.line.settings, {
      DOWNSTREAM_TIMEOUT: '300',
      LEASE: '301',
      HOLD_AFTER: '1000000',
      MAX_CONCURRENT: '100',
      MAX_RETRIES: '100',
    })
    const [partsService] = await Promise.all(lines.map((line) => startReadyService(t, line.settings)))
    const flow = new AbortController()
    const flowing = [parts, processor, speed].map(({ line }) => produceUntil(flow.signal, line))
    await records.line.produce(30)
    const prometheus = await startPrometheus(t, rules, targets)
    await until('every target to be scraped', async () => (await prometheus.query('up == 1')).length === 4)

    await Promise.all([
      breakParts({ ...parts, prometheus }, partsService!, listenProxy, databaseProxy, apart.url),
      breakProcessor({ ...processor, prometheus }),
      breakRecords({ ...records, prometheus }),
      breakSpeed({ ...speed, prometheus }),
    ])
    flow.abort()
    await Promise.all(flowing)

    for (const { job, expected } of [parts, processor, records, speed]) {
      const fired = await prometheus.query(
        `count by (alertname) (count_over_time(ALERTS{job="${job}", alertstate="firing"}[1h]))`,
      )
      t.strictSame(
        fired.map(({ metric }) => metric.alertname).sort(),
        [...expected].sort(),
        `${job}: no other alert fired at any time`,
      )
    }
    t.ok(measured.length >= 10, `${measured.length} faults`)
    for (const { alert, fault, cure, firesS, closesS } of measured)
      t.comment(`| ${alert} | ${fault} | ${firesS.toFixed(0)} s | ${cure} | ${closesS.toFixed(0)} s |`)
  },
)

/**
 * Injects a fault, waits until its alert fires, ends the fault, and waits until the alert is gone. All the time no other alert of the
 * service fires.
 */
async function injected(
  { t, job, prometheus, expected }: Watched,
  alert: string,
  [fault, begin]: [string, () => Promise<unknown>],
  [cure, end]: [string, () => Promise<unknown>],
): Promise<void> {
  const firing = async () => {
    const alerts = (await prometheus.alerts()).filter(
      ({ state, labels }) => state === 'firing' && labels.job === job,
    )
    for (const { annotations } of alerts)
      if (JSON.stringify(annotations).includes('error expanding')) t.fail('a template', annotations)
    return [...new Set(alerts.map(({ labels }) => labels.alertname!))].sort()
  }
  t.strictSame(await firing(), [], `${job}: nothing fires before ${alert}`)
  expected.add(alert)
  const beganAt = performance.now()
  await begin()
  await until(`${alert} to fire`, async () => (await firing()).includes(alert), waitMs)
  const firedAt = performance.now()
  t.strictSame(await firing(), [alert], `${job}: it alone`)
  const endedAt = performance.now()
  await end()
  await until(`${alert} to close`, async () => (await firing()).length === 0, waitMs)
  const closesS = (performance.now() - endedAt) / 1_000
  measured.push({ alert, fault, cure, firesS: (firedAt - beganAt) / 1_000, closesS })
}

async function breakParts(
  watched: Watched,
  service: Service,
  listenProxy: Proxy,
  databaseProxy: Proxy,
  url: string,
): Promise<void> {
  const { t, line } = watched
  const refuse = async (proxies: readonly Proxy[], on: boolean) => {
    for (const proxy of proxies) {
      await proxy.refuse(on)
      if (on) proxy.cut()
    }
  }
  await injected(
    watched,
    'TqpListenerDown',
    ['the way to PostgreSQL is cut for the LISTEN session alone', () => refuse([listenProxy], true)],
    ['it is open again', () => refuse([listenProxy], false)],
  )
  await injected(
    watched,
    'TqpDatabaseDown',
    ['PostgreSQL refuses every connection', () => refuse([databaseProxy, listenProxy], true)],
    ['it takes them again', () => refuse([databaseProxy, listenProxy], false)],
  )
  await isReady(service)
  const operator = new pg.Client({ connectionString: url })
  operator.on('error', () => undefined)
  await operator.connect()
  t.teardown(() => operator.end())
  await injected(
    watched,
    'TqpConsumerDown',
    [
      'a forgotten session holds a lock on `inbox`',
      () => operator.query('begin; lock table inbox in share row exclusive mode'),
    ],
    ['it is rolled back', () => operator.query('rollback')],
  )
  await isReady(service)
  await injected(
    watched,
    'TqpWatermarkHeld',
    [
      'a session wrote something and stays in its transaction',
      () => operator.query('begin; select pg_current_xact_id()'),
    ],
    ['it is rolled back', () => operator.query('rollback')],
  )
  await injected(
    watched,
    'TqpNoLiveInstance',
    [
      'the only instance is stopped',
      async () => {
        service.kill('SIGTERM')
        await service.ended
      },
    ],
    ['it is started again', () => startReadyService(t, line.settings)],
  )
}

async function breakProcessor(watched: Watched): Promise<void> {
  const { line } = watched
  await injected(
    watched,
    'TqpDestinationHeld',
    ['the processor answers 503 to everything', () => line.mock.beginOutage(3_600)],
    ['it accepts again', () => line.mock.beginOutage(0)],
  )
  const silent = await startOther(watched, '--success', '1', '--hang', '0.5')
  // Their retries are late too, but soon after a hold TqpDeliveredLate is silent.
  await injected(
    watched,
    'TqpUnknownOutcomes',
    ['the processor leaves every second request without an answer', silent.lead],
    ['it answers all', () => leadBack(watched)],
  )
}

async function breakRecords(watched: Watched): Promise<void> {
  const { t, line } = watched
  const admin = new Kafka({ brokers: line.brokers, logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  t.teardown(() => admin.disconnect())
  await injected(
    watched,
    'TqpPartitionStopped',
    [
      'the topic is deleted and created anew',
      async () => {
        await line.settled(30)
        await admin.deleteTopics({ topics: [line.topic] })
        await until('the topic to be there anew', () => line.produce(0).then(() => true))
      },
    ],
    [
      'an operator begins a new incarnation of each partition',
      async () => {
        await until('all three to be stopped', async () => {
          const { rows } = await line.pool.query('select from stopped_partitions')
          return rows.length === 3
        })
        for (const partition of ['0', '1', '2']) await beginIncarnation(line, partition)
      },
    ],
  )
  const refusing = await startOther(watched, '--success', '0.5', '--failure-status', '422')
  await injected(
    watched,
    'TqpDeadLettersGrowing',
    [
      'the processor refuses every second payment with 422',
      async () => {
        await refusing.lead()
        await line.produce(20, 10)
      },
    ],
    ['it accepts all', () => leadBack(watched)],
  )
}

async function breakSpeed(watched: Watched): Promise<void> {
  const slow = await startOther(watched, '--success', '1', '--latency', '6000')
  const dead = await startOther(watched, '--success', '1', '--hang', '1')
  await injected(
    watched,
    'TqpDeliveredLate',
    ['the processor takes six seconds for each payment', slow.lead],
    [
      'it is quick again, and payments come in a burst',
      async () => {
        await leadBack(watched)
        await watched.line.produce(5_000, 500)
        // What is under way when the next processor takes over would be in doubt for as long as that one is silent.
        await until('the burst to be delivered', async () => {
          const { pending, processing, failed } = await watched.line.counts()
          return pending + processing + failed < 5
        })
      },
    ],
  )
  await injected(
    watched,
    'TqpNotDelivering',
    ['the processor takes every request and never answers', dead.lead],
    ['it answers again', () => leadBack(watched)],
  )
}

/** Another processor, which behaves as these flags say, runs beside the first; `lead` takes the service to it. */
async function startOther({ t, processor }: Watched, ...flags: string[]) {
  const { port } = await startMock(t, flags)
  return { lead: async () => processor.leadTo({ host: '127.0.0.1', port }) }
}

async function leadBack({ processor, line }: Watched): Promise<void> {
  processor.leadTo({ host: '127.0.0.1', port: line.mock.port })
}

/** Ten payments a second, in pieces. A piece that fails, as after a restart of the topic, is left out. */
async function produceUntil(signal: AbortSignal, line: Line): Promise<void> {
  while (!signal.aborted) await line.produce(20, 10).catch(() => undefined)
}

async function beginIncarnation(line: Line, partition: string): Promise<void> {
  const flags = [
    '--partition',
    partition,
    '--new-incarnation',
    '--reason',
    'deleted by mistake',
    '--operator',
    'bob',
  ]
  const child = spawn(process.execPath, [...program('commands/partition'), ...flags], {
    env: { PATH: process.env.PATH, ...line.settings },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  await once(child, 'exit')
  if (child.exitCode !== 0) throw new Error(`partition ${partition}: exit code ${child.exitCode ?? 'none'}`)
}

/** A database of its own on that server. */
async function createDatabase(
  t: Pick<Test, 'teardown'>,
  server: TestDatabase,
  name: string,
): Promise<TestDatabase> {
  await server.pool.query(`create database ${name}`)
  const url = new URL(server.url)
  url.pathname = `/${name}`
  const pool = new pg.Pool({ connectionString: url.href })
  pool.on('error', () => undefined)
  t.teardown(() => pool.end())
  return { url: url.href, pool }
}
