import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { exitCodes, readCount, runCommand } from '../src/commands/run-command.ts'
import { produce } from '../src/kafka/test-topic/produce.ts'
import { generateMessages } from './generate-messages.ts'
import { ask, describeMachine, readCpu, readPeakMemory, walPosition, type Cpu } from './measure.ts'
import { onlyDelivered } from './message-scripts.ts'
import {
  namedOptions,
  namedUsage,
  readNamed,
  startParts,
  startService,
  type NamedFlags,
  type Parts,
  type RunningService,
} from './parts.ts'

const usage = `Usage: npm run bench -- [--count N] [--concurrent N] [--rates R,R,…] [--seconds S] [--finished N] [--json F] [--stock]

Measures the service on the embedded parts, or on named ones, with a processor that costs next to nothing.

  --count N       messages of the throughput run (default 200000)
  --concurrent N  MAX_CONCURRENT (default 500)
  --rates R,…     messages a second offered in the latency runs (default 100,500,2000; none: -)
  --seconds S     how long each latency run lasts (default 20)
  --finished N    finished messages that are in the tables before (default 0)
  --json F        writes the figures to F too

${namedUsage}
  --help          this text

Ends with 0 if the checker finds nothing wrong, 1 if it does, 2 if it could not run.
`

type Throughput = {
  messages: number
  perSecond: number
  /** A message, by process. */
  cpuMicroseconds: Cpu & { all: number }
  /** A message. */
  walBytes: number
  servicePeakMiB: number
}
type Latency = {
  offeredPerSecond: number
  messages: number
  p50Ms: number
  p99Ms: number
  maxMs: number
  /** Of it, from the producer to the transaction that stores the message. */
  toStoreP50Ms: number
}
type Figures = {
  machine: string
  servers: string
  settings: { MAX_CONCURRENT: string }
  finished: number
  throughput: Throughput
  latencies: Latency[]
  clean: boolean
}

interface Flags extends NamedFlags {
  count: string
  concurrent: string
  rates: string
  seconds: string
  finished: string
  json?: string | undefined
}

async function run(values: Flags): Promise<number> {
  const count = readCount('count', values.count)
  const finished = readCount('finished', values.finished, 0)
  const seconds = readCount('seconds', values.seconds)
  readCount('concurrent', values.concurrent)
  const rates = values.rates === '-' ? [] : values.rates.split(',').map((each) => readCount('rates', each))
  const parts = await startParts(readNamed(values))
  try {
    const settings = { MAX_CONCURRENT: values.concurrent }
    const throughput = await measureThroughput(parts, settings, count, finished)
    const latencies: Latency[] = []
    for (const rate of rates) latencies.push(await measureLatency(parts, settings, rate, seconds))
    const clean = verify(parts)
    const figures: Figures = {
      machine: describeMachine(),
      servers: parts.description,
      settings,
      finished,
      throughput,
      latencies,
      clean,
    }
    process.stdout.write(toTable(figures))
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`)
    return clean ? exitCodes.done : exitCodes.differs
  } finally {
    await parts.stop()
  }
}

/**
 * A topic is filled, then the service is started on it. The clock runs from the first record read (its slice's time in
 * the log) to the last `success` committed, by the database's clock. The service's CPU includes its start.
 */
async function measureThroughput(
  parts: Parts,
  settings: Record<string, string>,
  count: number,
  finished: number,
): Promise<Throughput> {
  if (finished > 0) await prepareFinished(parts, settings, finished)
  await fill(parts, count, null)
  const client = await connect(parts)
  const walBefore = await ask(client, walPosition)
  const before = readCpu(parts, 0)
  const service = await startService(parts, settings)
  await settled(client, finished + count, service)
  const used = subtract(readCpu(parts, service.pid), before)
  const seconds = await ask(
    client,
    `select extract(epoch from max(recorded_at) filter (where type = 'succeeded') - min(recorded_at) filter (where type = 'received'))
       as value from message_events where actor not like 'bench/%'`,
  )
  const walBytes = (await ask(client, walPosition)) - walBefore
  const servicePeakMiB = readPeakMemory(service.pid)
  await service.stop()
  await client.end()
  return {
    messages: count,
    perSecond: Math.round(count / seconds),
    cpuMicroseconds: perMessage(used, count),
    walBytes: Math.round(walBytes / count),
    servicePeakMiB,
  }
}

/** From the producer's timestamp on the record to the commit's time of its success. */
async function measureLatency(
  parts: Parts,
  settings: Record<string, string>,
  rate: number,
  seconds: number,
): Promise<Latency> {
  await fill(parts, 0, null)
  const client = await connect(parts)
  const service = await startService(parts, settings)
  await untilReady(service.url)
  // A first second warms up code and caches and is not counted.
  await fill(parts, rate, rate)
  const from = await ask(client, 'select last_value as value from message_ids')
  const before = await ask(client, 'select success as value from status_counts()')
  await fill(parts, rate * seconds, rate)
  await settled(client, before + rate * seconds, service)
  const { rows } = await client.query<{ p50: number; p99: number; max: number; to_store: number }>(
    `select percentile_disc(0.5) within group (order by ms) as p50, percentile_disc(0.99) within group (order by ms) as p99, max(ms) as max,
       percentile_disc(0.5) within group (order by to_store_ms) as to_store
     from (
       select (extract(epoch from e.recorded_at) * 1000 - r.timestamp_ms)::float8 as ms,
         (extract(epoch from s.created_at) * 1000 - r.timestamp_ms)::float8 as to_store_ms
       from message_events e
       join records r on r.message_id = e.message_id and r.version = 1
       join message_states s on s.message_id = e.message_id
       where e.type = 'succeeded' and e.message_id > $1
     ) delivered`,
    [from],
  )
  await service.stop()
  await client.end()
  const found = rows[0] ?? { p50: NaN, p99: NaN, max: NaN, to_store: NaN }
  return {
    offeredPerSecond: rate,
    messages: rate * seconds,
    p50Ms: found.p50,
    p99Ms: found.p99,
    maxMs: found.max,
    toStoreP50Ms: found.to_store,
  }
}

/** The service brings up the schema once; then the tables are filled beside it. */
async function prepareFinished(
  parts: Parts,
  settings: Record<string, string>,
  finished: number,
): Promise<void> {
  await fill(parts, 0, null)
  const service = await startService(parts, settings)
  await untilReady(service.url)
  await service.stop()
  await generateMessages(parts.databaseUrl, { count: finished, scripts: onlyDelivered, days: 1 })
}

/** Makes the topic too, which a service never does. */
async function fill(parts: Parts, count: number, rate: number | null): Promise<void> {
  const produced = await produce({
    brokers: parts.brokers.split(','),
    topic: parts.topic,
    count,
    rate,
    prefix: null,
    acksPath: acksPath(parts),
  })
  if (produced.acknowledged !== count)
    throw new Error(`only ${produced.acknowledged} records were acknowledged`)
}

function acksPath(parts: Parts): string {
  return join(parts.folder, 'acks.jsonl')
}

async function connect(parts: Parts): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: parts.databaseUrl })
  await client.connect()
  return client
}

/** Asks the counts ten times a second, which costs far under a thousandth of the line. */
async function settled(client: pg.Client, total: number, service: RunningService): Promise<void> {
  const schemaless = '42883'
  for (;;) {
    service.insistOnLife()
    try {
      if ((await ask(client, 'select success + dead_letter as value from status_counts()')) >= total) return
    } catch (error) {
      // The service brings up its schema in these first moments.
      if (!(error instanceof pg.DatabaseError) || error.code !== schemaless) throw error
    }
    await sleep(100)
  }
}

async function untilReady(url: string): Promise<void> {
  const isReady = async (): Promise<boolean> => {
    try {
      return (await fetch(`${url}/readyz`)).ok
    } catch {
      return false
    }
  }
  while (!(await isReady())) await sleep(50)
}

function subtract(after: Cpu, before: Cpu): Cpu {
  return {
    service: after.service - before.service,
    postgres: after.postgres - before.postgres,
    broker: after.broker - before.broker,
    processor: after.processor - before.processor,
  }
}

function perMessage(seconds: Cpu, count: number): Cpu & { all: number } {
  const each = (value: number): number => Math.round((value * 1e7) / count) / 10
  const { service, postgres, broker, processor } = seconds
  return {
    service: each(service),
    postgres: each(postgres),
    broker: each(broker),
    processor: each(processor),
    all: each(service + postgres + broker + processor),
  }
}

/** The lean processor keeps no ledger; the acknowledgements are checked. */
function verify(parts: Parts): boolean {
  const script = fileURLToPath(new URL('../dist/commands/verify.js', import.meta.url))
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, '--acks', acksPath(parts)], {
    env: { PATH: process.env.PATH, DATABASE_URL: parts.databaseUrl },
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  process.stdout.write(`${stdout}${stderr}`)
  return status === 0
}

function toTable({ servers, settings, finished, throughput, latencies, clean }: Figures): string {
  const cpu = throughput.cpuMicroseconds
  return [
    '',
    `servers      ${servers}`,
    `throughput   ${throughput.perSecond} messages a second, end to end   (${throughput.messages} messages, MAX_CONCURRENT ${settings.MAX_CONCURRENT}, ${finished} finished before)`,
    `CPU          ${cpu.all} µs a message: service ${cpu.service}, PostgreSQL ${cpu.postgres}, broker ${cpu.broker}, processor ${cpu.processor}   (0: not ours, and not known)`,
    `WAL          ${throughput.walBytes} bytes a message`,
    `memory       ${throughput.servicePeakMiB} MiB at most (service)`,
    ...latencies.map(
      (each) =>
        `latency      ${each.offeredPerSecond}/s offered: p50 ${each.p50Ms.toFixed(1)} ms, p99 ${each.p99Ms.toFixed(1)} ms, max ${each.maxMs.toFixed(1)} ms; to be stored p50 ${each.toStoreP50Ms.toFixed(1)} ms   (${each.messages} messages)`,
    ),
    `checker      ${clean ? 'clean' : 'NOT CLEAN'}`,
    '',
  ].join('\n')
}

process.exitCode = await runCommand({
  usage,
  options: {
    count: { type: 'string', default: '200000' },
    concurrent: { type: 'string', default: '500' },
    rates: { type: 'string', default: '100,500,2000' },
    seconds: { type: 'string', default: '20' },
    finished: { type: 'string', default: '0' },
    json: { type: 'string' },
    ...namedOptions,
  },
  run,
})
