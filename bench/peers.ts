import { writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Kafka, logLevel } from 'kafkajs'
import pg from 'pg'
import { ulid } from 'ulid'
import { exitCodes, readCount, runCommand } from '../src/commands/run-command.ts'
import { produce } from '../src/kafka/test-topic/produce.ts'
import { idempotencyKey } from '../src/message/idempotency-key.ts'
import { contenders, type Contender, type Running } from './contenders.ts'
import { ask, describeMachine } from './measure.ts'
import {
  createDatabase,
  createTopic,
  namedOptions,
  namedUsage,
  readNamed,
  startProcessor,
  startServers,
  type NamedFlags,
  type Servers,
} from './parts.ts'

const usage = `Usage: npm run bench:peers -- [--stock | --database-url U --brokers B] [--count N] [--rates R,R,…] [--seconds S] [--rounds N]

Measures the service beside kafkajs with graphile-worker and kafkajs with pg-boss, in turn, on the same servers, topic and processor, each
on a database of its own. All are measured from outside: at the processor, by the Idempotency-Key. Install them first:
npm ci --prefix bench/peers

  --count N       records of a throughput run, which are in the topic before (default 100000). Per second, from the first to arrive at
                  the processor to the last
  --rates R,…     records a second offered in the latency runs (default 500,2000; none: -). From the producer's time on the record to its
                  arrival at the processor
  --seconds S     how long each latency run lasts (default 20), after a second that warms up and is not counted
  --rounds N      how often all take their turn, in another order each time (default 3); the median is told
  --concurrent N  requests open at once (default 500)
  --only NAME,…   some of ours, graphile-worker, pg-boss
  --json F        writes the figures to F too

${namedUsage}
  --help          this text

Ends with 0 if all was delivered and is done, 1 if something is left, 2 if it could not run.
`

interface Flags extends NamedFlags {
  count: string
  rates: string
  seconds: string
  rounds: string
  concurrent: string
  only?: string | undefined
  json?: string | undefined
}

type Bench = {
  servers: Servers
  processor: Awaited<ReturnType<typeof startProcessor>>
  folder: string
  concurrent: number
}

type Figure = {
  round: number
  contender: string
  /** null for the throughput run. */
  offeredPerSecond: number | null
  perSecond: number
  p50Ms: number | null
  p99Ms: number | null
  /** Records that were sent more than once are counted once. */
  delivered: number
  /** Of what it took, by its own tables, after its end. */
  left: number
}

// It bounds a hang: an hour for a run is no measurement any more.
const runMsMax = 3_600_000
const warmUpSeconds = 1

async function run(flags: Flags): Promise<number> {
  const count = readCount('count', flags.count)
  const rounds = readCount('rounds', flags.rounds)
  const seconds = readCount('seconds', flags.seconds)
  const concurrent = readCount('concurrent', flags.concurrent)
  const rates = flags.rates === '-' ? [] : flags.rates.split(',').map((each) => readCount('rates', each))
  const chosen = choose(flags.only)
  const servers = await startServers(readNamed(flags))
  const folder = await mkdtemp(join(tmpdir(), 'tqp-peers-'))
  const processor = await startProcessor(true)
  const bench = { servers, processor, folder, concurrent }
  const figures: Figure[] = []
  const tell = (figure: Figure): void => {
    figures.push(figure)
    process.stdout.write(`${describeFigure(figure)}\n`)
  }
  process.stdout.write(`${servers.description}; ${describeMachine()}\n`)
  try {
    for (let round = 1; round <= rounds; round++) {
      const inTurn = chosen
        .map((_, at) => chosen[(at + round - 1) % chosen.length])
        .filter((each) => each !== undefined)
      await measureThroughputs(bench, inTurn, count, round, tell)
      for (const rate of rates)
        for (const contender of inTurn) tell(await measureLatency(bench, contender, rate, seconds, round))
    }
  } finally {
    await processor.stop()
    await servers.stop()
    await rm(folder, { recursive: true, force: true })
  }
  process.stdout.write(toTable(figures, chosen, rates))
  if (flags.json !== undefined)
    writeFileSync(
      flags.json,
      `${JSON.stringify({ machine: describeMachine(), servers: servers.description, concurrent, figures }, null, 2)}\n`,
    )
  return figures.every(({ left }) => left === 0) ? exitCodes.done : exitCodes.differs
}

function choose(only: string | undefined): Contender[] {
  if (only === undefined) return [...contenders]
  return only.split(',').map((name) => {
    const found = contenders.find((each) => each.name === name)
    if (found !== undefined) return found
    throw new Error(
      `--only must name some of ${contenders.map((each) => each.name).join(', ')}, not ${name}.`,
    )
  })
}

/** One topic, filled before, which each reads for itself. */
async function measureThroughputs(
  bench: Bench,
  inTurn: readonly Contender[],
  count: number,
  round: number,
  tell: (figure: Figure) => void,
): Promise<void> {
  const topic = await createTopic(bench.servers.brokers)
  try {
    await fill(bench, topic.name, count, null, `P${ulid()}`)
    for (const contender of inTurn) {
      const { arrivals, left } = await withContender(bench, contender, topic.name, (running) =>
        waitForArrivals(bench, running, count),
      )
      const times = [...arrivals.values()].sort((one, other) => one - other)
      const elapsedMs = Math.max(1, (times.at(-1) ?? 0) - (times[0] ?? 0))
      tell({
        round,
        contender: contender.name,
        offeredPerSecond: null,
        perSecond: Math.round((count / elapsedMs) * 1_000),
        p50Ms: null,
        p99Ms: null,
        delivered: arrivals.size,
        left,
      })
    }
  } finally {
    await topic.remove()
  }
}

async function measureLatency(
  bench: Bench,
  contender: Contender,
  rate: number,
  seconds: number,
  round: number,
): Promise<Figure> {
  const topic = await createTopic(bench.servers.brokers)
  try {
    const prefix = `L${ulid()}`
    const warmUp = rate * warmUpSeconds
    const { arrivals, left } = await withContender(bench, contender, topic.name, async (running) => {
      await fill(bench, topic.name, warmUp, rate, `W${prefix}`)
      await waitForArrivals(bench, running, warmUp)
      await fill(bench, topic.name, rate * seconds, rate, prefix)
      return waitForArrivals(bench, running, rate * seconds)
    })
    const sent = await readSent(bench.servers.brokers, topic.name, warmUp + rate * seconds)
    const latencies = [...sent]
      .filter(([id]) => id.startsWith(prefix))
      .map(([id, sentMs]) => (arrivals.get(idempotencyKey(id)) ?? Infinity) - sentMs)
      .sort((one, other) => one - other)
    return {
      round,
      contender: contender.name,
      offeredPerSecond: rate,
      perSecond: rate,
      p50Ms: percentile(latencies, 0.5),
      p99Ms: percentile(latencies, 0.99),
      delivered: arrivals.size,
      left,
    }
  } finally {
    await topic.remove()
  }
}

/** Runs the contender on the topic, with a database and a group of its own, while `work` takes; then lets it end, and asks what is left. */
async function withContender(
  { servers, processor, folder, concurrent }: Bench,
  contender: Contender,
  topic: string,
  work: (running: Running) => Promise<Map<string, number>>,
): Promise<{ arrivals: Map<string, number>; left: number }> {
  const database = await createDatabase(servers.databaseUrl)
  try {
    const settings = {
      databaseUrl: database.url,
      brokers: servers.brokers,
      topic,
      groupId: `${topic}.${contender.name}`,
      downstreamUrl: processor.url,
      folder,
    }
    const running = await contender.start(settings, concurrent)
    let arrivals
    try {
      arrivals = await work(running)
    } finally {
      await running.stop()
    }
    const client = new pg.Client({ connectionString: database.url })
    await client.connect()
    const left = await ask(client, contender.left)
    await client.end()
    return { arrivals, left }
  } finally {
    await database.drop()
    // What it sent late or twice is not the next one's.
    await fetch(processor.arrivalsUrl)
  }
}

/** When each key came first, in milliseconds; waits until so many keys have come. */
async function waitForArrivals(
  { processor }: Bench,
  running: Running,
  count: number,
): Promise<Map<string, number>> {
  const arrivals = new Map<string, number>()
  const deadline = performance.now() + runMsMax
  while (arrivals.size < count) {
    await running.insistOnLife()
    if (performance.now() > deadline)
      throw new Error(`only ${arrivals.size} of ${count} arrived within an hour`)
    await sleep(200)
    const text = await (await fetch(processor.arrivalsUrl)).text()
    for (const line of text.split('\n')) {
      const [key = '', ms] = line.split(' ')
      if (key !== '' && !arrivals.has(key)) arrivals.set(key, Number(ms))
    }
  }
  return arrivals
}

async function fill(
  { servers }: Bench,
  topic: string,
  count: number,
  rate: number | null,
  prefix: string,
): Promise<void> {
  const { acknowledged } = await produce({
    brokers: servers.brokers.split(','),
    topic,
    count,
    rate,
    prefix,
    acksPath: null,
  })
  if (acknowledged !== count) throw new Error(`only ${acknowledged} of ${count} records were acknowledged`)
}

/** The time that the producer wrote on each record, by its transaction id. */
async function readSent(brokers: string, topic: string, count: number): Promise<Map<string, number>> {
  const kafka = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.NOTHING })
  const consumer = kafka.consumer({ groupId: `${topic}.sent` })
  const sent = new Map<string, number>()
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await new Promise<void>((resolve, reject) => {
    consumer
      .run({
        eachBatch: ({ batch }) => {
          for (const { key, timestamp } of batch.messages) sent.set(String(key), Number(timestamp))
          if (sent.size >= count) resolve()
          return Promise.resolve()
        },
      })
      .catch(reject)
  })
  await consumer.disconnect()
  return sent
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? NaN
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other)
  const middle = Math.floor(sorted.length / 2)
  if (sorted.length % 2 === 1) return sorted[middle] ?? NaN
  return ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2
}

function describeFigure({
  round,
  contender,
  offeredPerSecond,
  perSecond,
  p50Ms,
  p99Ms,
  left,
}: Figure): string {
  const figure =
    offeredPerSecond === null
      ? `${perSecond} a second`
      : `at ${offeredPerSecond} a second: p50 ${p50Ms ?? NaN} ms, p99 ${p99Ms ?? NaN} ms`
  return `round ${round}  ${contender.padEnd(16)}${figure}${left === 0 ? '' : `   NOT DONE: ${left} left`}`
}

/** A figure alone tells of the machine: beside it stands its ratio to ours of the same round, the median of the rounds. */
function toTable(figures: readonly Figure[], chosen: readonly Contender[], rates: readonly number[]): string {
  const of = (contender: string, offered: number | null): Figure[] =>
    figures.filter((each) => each.contender === contender && each.offeredPerSecond === offered)
  const cell = (contender: string, offered: number | null, read: (figure: Figure) => number): string => {
    const own = of(contender, offered)
    const ratios = own.flatMap((each) => {
      const ours = of('ours', offered).find(({ round }) => round === each.round)
      return ours === undefined ? [] : [read(each) / read(ours)]
    })
    const ratio = ratios.length === 0 ? '–' : median(ratios).toFixed(2)
    return `${Math.round(median(own.map(read)))} (× ${ratio})`
  }
  const head = [
    '',
    'records a second',
    ...rates.flatMap((rate) => [`p50 ms at ${rate}/s`, `p99 ms at ${rate}/s`]),
  ]
  const rows = chosen.map(({ name }) => [
    name,
    cell(name, null, (figure) => figure.perSecond),
    ...rates.flatMap((rate) => [
      cell(name, rate, (figure) => figure.p50Ms ?? NaN),
      cell(name, rate, (figure) => figure.p99Ms ?? NaN),
    ]),
  ])
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [
    '',
    'Medians of the rounds; in brackets the ratio to ours.',
    line(head),
    line(head.map(() => '---')),
    ...rows.map(line),
    '',
  ].join('\n')
}

process.exitCode = await runCommand({
  usage,
  options: {
    count: { type: 'string', default: '100000' },
    rates: { type: 'string', default: '500,2000' },
    seconds: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '3' },
    concurrent: { type: 'string', default: '500' },
    only: { type: 'string' },
    json: { type: 'string' },
    ...namedOptions,
  },
  run,
})
