import { writeFileSync } from 'node:fs'
import type pg from 'pg'
import { exitCodes, readCount, runCommand } from '../src/commands/run-command.ts'
import { migrate } from '../src/runtime/migrate.ts'
import { generateMessages } from './generate-messages.ts'
import { connect, done, fill, settled, untilReady, verify } from './line.ts'
import { ask, describeMachine, readCpu, walPosition } from './measure.ts'
import { onlyDelivered, onlyPending } from './message-scripts.ts'
import {
  namedOptions,
  namedUsage,
  readNamed,
  startPartsOn,
  startServers,
  startService,
  type NamedFlags,
  type Parts,
  type RunningService,
  type Servers,
} from './parts.ts'

const usage = `Usage: npm run bench:growth -- [--count N] [--finished N] [--waiting N] [--only CASE,…] [--rounds N] [--json F] [--stock]

Measures whether the line gets slower with what is in the tables. The cases take turns on the same servers, each on a database and a topic
of its own. The topic is filled before the services start.

  empty      nothing before
  finished   so many finished messages before, in several segments; beside empty
  snapshot   a transaction holds a snapshot from before the first message to after the last one; beside empty
  four       four instances share the topic; beside empty
  slow       the processor answers after --latency; beside nothing
  waiting    the same, and so many messages wait before; beside slow

  --count N            messages of each run (default 200000)
  --finished N         (default 10000000)
  --segment-messages N how many messages a segment holds that is filled before (default 2000000)
  --waiting N          (default 1000000)
  --latency MS         of the processor in slow and waiting (default 100)
  --concurrent N       MAX_CONCURRENT (default 500)
  --only CASE,…        the cases (default all)
  --rounds N           how often all take their turn (default 1); the median is told
  --json F             writes the figures to F too

${namedUsage}

Messages a second are counted over the middle of each run, from the 20th to the 80th of a hundred successes. CPU is of the service and
PostgreSQL together, and includes the start of each service.

  --help  this text

Ends with 0 if the checker finds nothing wrong, 1 if it does, or if the processor got more requests than attempts were started, 2 if it
could not run.
`

const cases = {
  empty: { beside: null },
  finished: { beside: 'empty' },
  snapshot: { beside: 'empty' },
  four: { beside: 'empty' },
  slow: { beside: null },
  waiting: { beside: 'slow' },
} as const
type Case = keyof typeof cases

type Sizes = {
  count: number
  finished: number
  segmentMessages: number
  waiting: number
  latencyMs: number
  concurrent: number
}
type Figure = {
  round: number
  case: Case
  perSecond: number
  /** A message, of the service and of PostgreSQL. */
  serviceMicroseconds: number
  postgresMicroseconds: number
  walBytes: number
  isClean: boolean
  /** Requests that the processor got above the attempts that were started; null if it does not count. */
  surplus: number | null
}

interface Flags extends NamedFlags {
  count: string
  finished: string
  'segment-messages': string
  waiting: string
  latency: string
  concurrent: string
  only?: string | undefined
  rounds: string
  json?: string | undefined
}

async function run(values: Flags): Promise<number> {
  const sizes = {
    count: readCount('count', values.count),
    finished: readCount('finished', values.finished),
    segmentMessages: readCount('segment-messages', values['segment-messages']),
    waiting: readCount('waiting', values.waiting),
    latencyMs: readCount('latency', values.latency),
    concurrent: readCount('concurrent', values.concurrent),
  }
  const chosen = readCases(values.only)
  const rounds = readCount('rounds', values.rounds)
  const servers = await startServers(readNamed(values))
  const figures: Figure[] = []
  try {
    for (let round = 1; round <= rounds; round++)
      for (const each of chosen) {
        const figure = { round, ...(await measureCase(servers, each, sizes)) }
        process.stdout.write(`${JSON.stringify(figure)}\n`)
        figures.push(figure)
      }
  } finally {
    await servers.stop()
  }
  process.stdout.write(toTable(servers.description, figures))
  if (values.json !== undefined)
    writeFileSync(
      values.json,
      `${JSON.stringify({ machine: describeMachine(), servers: servers.description, sizes, figures }, null, 2)}\n`,
    )
  return figures.every(({ isClean, surplus }) => isClean && (surplus ?? 0) <= 0)
    ? exitCodes.done
    : exitCodes.differs
}

function readCases(text: string | undefined): Case[] {
  const all = Object.keys(cases) as Case[]
  if (text === undefined) return all
  return text.split(',').map((name) => {
    const found = all.find((each) => each === name)
    if (found === undefined) throw new Error(`--only knows ${all.join(', ')}, not ${JSON.stringify(name)}.`)
    return found
  })
}

async function measureCase(servers: Servers, name: Case, sizes: Sizes): Promise<Omit<Figure, 'round'>> {
  const isSlow = name === 'slow' || name === 'waiting'
  const parts = await startPartsOn(
    { ...servers, stop: () => Promise.resolve() },
    { partitions: 8, latencyMs: isSlow ? sizes.latencyMs : null },
  )
  const client = await connect(parts)
  try {
    await prepare(parts, name, sizes)
    // A first start does more than a later one.
    const service = await startService(parts, {})
    await untilReady(service)
    await service.stop()
    await fill(parts, sizes.count, null)
    const before = await ask(client, done)
    const snapshot = name === 'snapshot' ? await holdSnapshot(parts) : null
    const figure = await measureLine(parts, client, name, before, sizes)
    await snapshot?.end()
    return { case: name, ...figure, isClean: isClean(parts) }
  } finally {
    await client.end()
    await parts.stop()
  }
}

async function prepare(parts: Parts, name: Case, sizes: Sizes): Promise<void> {
  await migrate({ connectionString: parts.databaseUrl })
  const { segmentMessages } = sizes
  const options = { days: 1, segmentMessages }
  if (name === 'finished')
    await generateMessages(parts.databaseUrl, { ...options, count: sizes.finished, scripts: onlyDelivered })
  if (name === 'waiting')
    await generateMessages(parts.databaseUrl, { ...options, count: sizes.waiting, scripts: onlyPending })
}

/** A snapshot that PostgreSQL must keep all row versions for that anybody makes from now on. */
async function holdSnapshot(parts: Parts): Promise<pg.Client> {
  const client = await connect(parts)
  await client.query('begin isolation level repeatable read, read only')
  await client.query('select 1')
  return client
}

async function measureLine(
  parts: Parts,
  client: pg.Client,
  name: Case,
  before: number,
  { count, concurrent }: Sizes,
): Promise<
  Pick<Figure, 'perSecond' | 'serviceMicroseconds' | 'postgresMicroseconds' | 'walBytes' | 'surplus'>
> {
  const settings = { MAX_CONCURRENT: String(concurrent) }
  const walBefore = await ask(client, walPosition)
  const cpuBefore = readCpu(parts, 0)
  const services: RunningService[] = []
  for (let nth = 0; nth < (name === 'four' ? 4 : 1); nth++) services.push(await startService(parts, settings))
  await settled(client, before + count, ...services)
  const used = services.map(({ pid }) => readCpu(parts, pid).service).reduce((sum, each) => sum + each, 0)
  const postgres = readCpu(parts, 0).postgres - cpuBefore.postgres
  const walBytes = ((await ask(client, walPosition)) - walBefore) / count
  const stored = await ask(
    client,
    `select sum(received) as value from partition_advances where actor not like 'bench/%'`,
  )
  if (stored < count)
    throw new Error(`only ${stored} of ${count} records were stored when so many messages were done`)
  await Promise.all(services.map((service) => service.stop()))
  const each = (seconds: number): number => Math.round((seconds * 1e7) / count) / 10
  return {
    perSecond: Math.round(await ask(client, middleRate)),
    serviceMicroseconds: each(used),
    postgresMicroseconds: each(postgres),
    walBytes: Math.round(walBytes),
    surplus: await countSurplus(parts, client),
  }
}

const middleRate = `
  select count(*) / extract(epoch from max(s.recorded_at) - min(s.recorded_at)) as value
  from (
    select e.recorded_at, percent_rank() over (order by e.recorded_at) as place
    from message_events e where e.type = 'succeeded' and e.actor not like 'bench/%'
  ) s
  where s.place between 0.2 and 0.8`

/** Only the lean processor counts. */
async function countSurplus(parts: Parts, client: pg.Client): Promise<number | null> {
  const answer = await fetch(parts.downstreamUrl.replace(/process$/, 'health'))
  const { served } = (await answer.json()) as { served?: number }
  if (served === undefined) return null
  const started = `select count(*) as value from message_events where type = 'attempt_started' and actor not like 'bench/%'`
  return served - (await ask(client, started))
}

function isClean(parts: Parts): boolean {
  const checked = verify(parts)
  if (!checked.isClean) process.stdout.write(checked.output)
  return checked.isClean
}

function toTable(servers: string, figures: readonly Figure[]): string {
  const names = [...new Set(figures.map((each) => each.case))]
  const median = (name: Case, value: (figure: Figure) => number): number =>
    figures
      .filter((each) => each.case === name)
      .map(value)
      .sort((one, other) => one - other)
      .at(figures.filter((each) => each.case === name).length >> 1) ?? NaN
  const perSecond = (name: Case): number => median(name, (figure) => figure.perSecond)
  const cpu = (name: Case): number =>
    median(name, (figure) => figure.serviceMicroseconds + figure.postgresMicroseconds)
  const lines = names.map((name) => {
    const { beside } = cases[name]
    const ratios =
      beside === null || !names.includes(beside)
        ? ''
        : `   beside ${beside}: × ${(perSecond(name) / perSecond(beside)).toFixed(2)} messages a second, × ${(cpu(name) / cpu(beside)).toFixed(2)} CPU`
    const postgres = median(name, (figure) => figure.postgresMicroseconds)
    return `${name.padEnd(9)} ${String(perSecond(name)).padStart(6)} a second, ${cpu(name).toFixed(1).padStart(6)} µs (PostgreSQL ${postgres.toFixed(1)})${ratios}`
  })
  const isGood = figures.every((each) => each.isClean && (each.surplus ?? 0) <= 0)
  return ['', `servers   ${servers}`, ...lines, `checker   ${isGood ? 'clean' : 'NOT CLEAN'}`, ''].join('\n')
}

process.exitCode = await runCommand({
  usage,
  options: {
    count: { type: 'string', default: '200000' },
    finished: { type: 'string', default: '10000000' },
    'segment-messages': { type: 'string', default: '2000000' },
    waiting: { type: 'string', default: '1000000' },
    latency: { type: 'string', default: '100' },
    concurrent: { type: 'string', default: '500' },
    only: { type: 'string' },
    rounds: { type: 'string', default: '1' },
    json: { type: 'string' },
    ...namedOptions,
  },
  run,
})
