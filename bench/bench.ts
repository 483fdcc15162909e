import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exitCodes, readCount, runCommand } from '../src/commands/run-command.ts'
import { generateMessages } from './generate-messages.ts'
import {
  connect,
  done,
  fill,
  lastMessageId,
  readDelivery,
  settled,
  untilReady,
  verify,
  type Delivery,
} from './line.ts'
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
} from './parts.ts'

const usage = `Usage: npm run bench -- [--count N] [--concurrent N] [--rates R,R,…] [--seconds S] [--finished N] [--traces] [--json F] [--stock]

Measures the service on the embedded parts, or on named ones, with a processor that costs next to nothing.

  --count N       messages of the throughput run (default 200000)
  --concurrent N  MAX_CONCURRENT (default 500)
  --rates R,…     messages a second offered in the latency runs (default 100,500,2000; none: -)
  --seconds S     how long each latency run lasts (default 20)
  --finished N    finished messages that are in the tables before (default 0)
  --traces        sends every trace, to a collector that throws them away
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
  /** The same, from the first messages delivered on; null if they were all that there were. */
  cpuAfterStartMicroseconds: (Cpu & { all: number }) | null
  /** A message. */
  walBytes: number
  servicePeakMiB: number
  spansDropped: number
}
type Latency = Delivery & {
  offeredPerSecond: number
  /** A message, by process. */
  cpuMicroseconds: Cpu & { all: number }
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
  traces: boolean
  json?: string | undefined
}

async function run(values: Flags): Promise<number> {
  const count = readCount('count', values.count)
  const finished = readCount('finished', values.finished, 0)
  const seconds = readCount('seconds', values.seconds)
  readCount('concurrent', values.concurrent)
  const rates = values.rates === '-' ? [] : values.rates.split(',').map((each) => readCount('rates', each))
  const parts = await startParts(readNamed(values))
  const collector = values.traces ? await startCollector() : null
  try {
    const settings = {
      MAX_CONCURRENT: values.concurrent,
      ...(collector === null ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }),
    }
    const throughput = await measureThroughput(parts, settings, count, finished)
    const latencies: Latency[] = []
    for (const rate of rates) latencies.push(await measureLatency(parts, settings, rate, seconds))
    // The lean processor keeps no ledger; the acknowledgements are checked.
    const { isClean: clean, output } = verify(parts)
    process.stdout.write(output)
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
    if (collector !== null)
      process.stdout.write(`${collector.tell()}, ${throughput.spansDropped} spans dropped\n`)
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`)
    return clean ? exitCodes.done : exitCodes.differs
  } finally {
    collector?.stop()
    await parts.stop()
  }
}

/** Takes spans in this process, which has little else to do meanwhile, and forgets them. */
async function startCollector() {
  let exports = 0
  let bytes = 0
  const server = createServer((request, response) => {
    exports += 1
    request.on('data', (chunk: Buffer) => (bytes += chunk.length))
    request.on('end', () => response.end())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    tell: () => `traces: ${exports} exports, ${(bytes / 1e6).toFixed(1)} MB`,
    stop: () => server.close(),
  }
}

/**
 * A topic is filled, then the service is started on it. The clock runs from the first record read (its slice's time in the log) to the last
 * `success` committed, by the database's clock. The service's CPU includes its start, which is over a second: the fewer messages there are,
 * the more of it falls on each. So the CPU is also counted from when the first messages are delivered.
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
  const begun = await settled(client, finished + 1, service)
  const atBegun = readCpu(parts, service.pid)
  await settled(client, finished + count, service)
  const atEnd = readCpu(parts, service.pid)
  const left = finished + count - begun
  const seconds = await ask(
    client,
    `select extract(epoch from max(recorded_at) filter (where type = 'succeeded') - min(recorded_at) filter (where type = 'received'))
       as value from message_events where actor not like 'bench/%'`,
  )
  const walBytes = (await ask(client, walPosition)) - walBefore
  const servicePeakMiB = readPeakMemory(service.pid)
  const spansDropped = await readSpansDropped(service.url)
  await service.stop()
  await client.end()
  return {
    messages: count,
    perSecond: Math.round(count / seconds),
    cpuMicroseconds: perMessage(subtract(atEnd, before), count),
    cpuAfterStartMicroseconds: left === 0 ? null : perMessage(subtract(atEnd, atBegun), left),
    walBytes: Math.round(walBytes / count),
    servicePeakMiB,
    spansDropped,
  }
}

/** Before the stop, which sends what is left. */
async function readSpansDropped(url: string): Promise<number> {
  const scrape = await fetch(`${url}/metrics`, { headers: { accept: 'text/plain' } })
  const values = [...(await scrape.text()).matchAll(/^tqp_spans_dropped_total\{.*\} (\d+)$/gm)]
  return values.reduce((sum, [, value]) => sum + Number(value), 0)
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
  await untilReady(service)
  // A first second warms up code and caches and is not counted.
  await fill(parts, rate, rate)
  const from = await ask(client, lastMessageId)
  const before = await ask(client, done)
  const cpuBefore = readCpu(parts, service.pid)
  await fill(parts, rate * seconds, rate)
  await settled(client, before + rate * seconds, service)
  const used = subtract(readCpu(parts, service.pid), cpuBefore)
  const delivery = await readDelivery(client, from, await ask(client, lastMessageId))
  await service.stop()
  await client.end()
  return { offeredPerSecond: rate, ...delivery, cpuMicroseconds: perMessage(used, rate * seconds) }
}

/** The service brings up the schema once; then the tables are filled beside it. */
async function prepareFinished(
  parts: Parts,
  settings: Record<string, string>,
  finished: number,
): Promise<void> {
  await fill(parts, 0, null)
  const service = await startService(parts, settings)
  await untilReady(service)
  await service.stop()
  await generateMessages(parts.databaseUrl, { count: finished, scripts: onlyDelivered, days: 1 })
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

function toTable({ servers, settings, finished, throughput, latencies, clean }: Figures): string {
  const { cpuMicroseconds: cpu, cpuAfterStartMicroseconds: afterStart } = throughput
  return [
    '',
    `servers      ${servers}`,
    `throughput   ${throughput.perSecond} messages a second, end to end   (${throughput.messages} messages, MAX_CONCURRENT ${settings.MAX_CONCURRENT}, ${finished} finished before)`,
    `CPU          ${describeCpu(cpu)}   (0: not ours, and not known)`,
    ...(afterStart === null ? [] : [`… after start ${describeCpu(afterStart)}`]),
    `WAL          ${throughput.walBytes} bytes a message`,
    `memory       ${throughput.servicePeakMiB} MiB at most (service)`,
    ...latencies.flatMap((each) => [
      `latency      ${each.offeredPerSecond}/s offered: p50 ${each.p50Ms.toFixed(1)} ms, p99 ${each.p99Ms.toFixed(1)} ms, max ${each.maxMs.toFixed(1)} ms; to be stored p50 ${each.toStoreP50Ms.toFixed(1)} ms   (${each.messages} messages)`,
      `… CPU        ${describeCpu(each.cpuMicroseconds)}`,
    ]),
    `checker      ${clean ? 'clean' : 'NOT CLEAN'}`,
    '',
  ].join('\n')
}

function describeCpu({ all, service, postgres, broker, processor }: Cpu & { all: number }): string {
  return `${all} µs a message: service ${service}, PostgreSQL ${postgres}, broker ${broker}, processor ${processor}`
}

process.exitCode = await runCommand({
  usage,
  options: {
    count: { type: 'string', default: '200000' },
    concurrent: { type: 'string', default: '500' },
    rates: { type: 'string', default: '100,500,2000' },
    seconds: { type: 'string', default: '20' },
    finished: { type: 'string', default: '0' },
    traces: { type: 'boolean', default: false },
    json: { type: 'string' },
    ...namedOptions,
  },
  run,
})
