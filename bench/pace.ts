import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { readCount, runCommand } from '../src/commands/run-command.ts'
import { measureCases, readCases } from './cases.ts'
import { connect, done, fill, setOutage, settled, untilReady, verify } from './line.ts'
import { ask } from './measure.ts'
import {
  namedOptions,
  namedUsage,
  readNamed,
  startPartsOn,
  startService,
  type NamedFlags,
  type Parts,
  type RunningService,
  type Servers,
} from './parts.ts'

const usage = `Usage: npm run bench:pace -- [--only CASE,…] [--seconds N] [--waiting N] [--json F] [--stock]

Measures how well the pace of a destination is used, and how it comes back. The cases follow each other on the same servers, each on a
database and a topic of its own.

  limit      four instances share RATE_LIMIT=200; all records are there at the start
  throttled  a processor takes 20 requests in each second and answers 429 to others; 40 a second come
  back       --waiting payments wait when the processor is back from an outage: attempts in each second of the first minute
  unguarded  the same with the guard switched off

  --only CASE,…  the cases (default all)
  --seconds N    how long limit and throttled last (default 120)
  --waiting N    (default 50000)
  --json F       writes the figures to F too

${namedUsage}

A second is one by the clock of the log, and the share that is used is over all seconds but the first ten and the last two.

  --help  this text

Ends with 0 if the checker finds nothing wrong and there is no dead letter, 1 if it does or there is one, 2 if it could not run.
`

const rate = 200
const processorRate = 20
const cases = ['limit', 'throttled', 'back', 'unguarded'] as const
type Case = (typeof cases)[number]
type Sizes = { seconds: number; waiting: number }

type Figure = {
  case: Case
  /** Of what was allowed; null where nothing bounds it. */
  usedShare: number | null
  /** The most attempts in any second, wherever it begins. */
  most: number
  deadLetters: number
  attempts: number
  messages: number
  /** Attempts in each second from the first one on, or from the end of the outage. */
  series: number[]
  isClean: boolean
}

interface Flags extends NamedFlags {
  only?: string | undefined
  seconds: string
  waiting: string
  json?: string | undefined
}

async function run(values: Flags): Promise<number> {
  const only = readCases(values.only, cases)
  const sizes = {
    seconds: readCount('seconds', values.seconds),
    waiting: readCount('waiting', values.waiting),
  }
  return measureCases(readNamed(values), {
    cases: only,
    measure: (servers, name) => measureCase(servers, name, sizes),
    toLines,
    holds: ({ isClean, deadLetters }) => isClean && deadLetters === 0,
    json: values.json,
    given: { sizes },
  })
}

async function measureCase(servers: Servers, name: Case, sizes: Sizes): Promise<Figure> {
  const processor = name === 'throttled' ? ['--rate', String(processorRate)] : []
  const parts = await startPartsOn(servers, { partitions: 8, processor: ['--success', '1', ...processor] })
  const client = await connect(parts)
  const services: RunningService[] = []
  try {
    const beganAt = await act[name](parts, client, services, sizes)
    await Promise.all(services.map((service) => service.stop()))
    return { ...(await read(client, name, beganAt)), isClean: isClean(parts) }
  } finally {
    await Promise.all(services.map((service) => service.stop()))
    await client.end()
    await parts.stop()
  }
}

/** Each resolves when all messages are done, with the second from which attempts are counted. */
const act: Record<
  Case,
  (parts: Parts, client: pg.Client, services: RunningService[], sizes: Sizes) => Promise<number>
> = {
  async limit(parts, client, services, { seconds }) {
    await fill(parts, rate * seconds, null)
    for (let nth = 0; nth < 4; nth++) services.push(await startService(parts, { RATE_LIMIT: String(rate) }))
    await settled(client, rate * seconds, ...services)
    return 0
  },
  async throttled(parts, client, services, { seconds }) {
    const count = 2 * processorRate * seconds
    await fill(parts, 0, null)
    for (let nth = 0; nth < 2; nth++) services.push(await startService(parts, { BASE_DELAY: '1' }))
    for (const service of services) await untilReady(service)
    await fill(parts, count, 2 * processorRate)
    await settled(client, count, ...services)
    return 0
  },
  back: (...given) => comeBack(...given, {}),
  unguarded: (...given) => comeBack(...given, { HOLD_AFTER: '0' }),
}

async function comeBack(
  parts: Parts,
  client: pg.Client,
  services: RunningService[],
  { waiting }: Sizes,
  settings: Record<string, string>,
): Promise<number> {
  const retries = { MAX_RETRIES: '100', BASE_DELAY: '5', MAX_DELAY: '20', PROBE_EVERY: '1', ...settings }
  await fill(parts, waiting, null)
  await setOutage(parts, 3_600)
  for (let nth = 0; nth < 2; nth++) services.push(await startService(parts, retries))
  for (const service of services) await untilReady(service)
  const stored = 'select pending + processing + failed as value from status_counts()'
  while ((await ask(client, stored)) < waiting) await sleep(100)
  // Time for the schedules of those that are tried.
  await sleep(30_000)
  await setOutage(parts, 0)
  const endedAt = await ask(client, 'select floor(extract(epoch from clock_timestamp())) as value')
  await settled(client, waiting, ...services)
  return endedAt
}

async function read(client: pg.Client, name: Case, beganAt: number): Promise<Omit<Figure, 'isClean'>> {
  const counted = name === 'throttled' ? 'succeeded' : 'attempt_started'
  const { rows } = await client.query<{ second: string; events: number }>(
    `select floor(extract(epoch from recorded_at)) as second, count(*)::int as events from message_events
     where type = $1 and recorded_at >= to_timestamp($2) group by 1`,
    [counted, beganAt],
  )
  const bySecond = new Map(rows.map(({ second, events }) => [Number(second), events]))
  const [first, last] = [Math.min(...bySecond.keys()), Math.max(...bySecond.keys())]
  const from = beganAt === 0 ? first : beganAt
  const series = Array.from({ length: last - from + 1 }, (_, at) => bySecond.get(from + at) ?? 0)
  const allowed = name === 'limit' ? rate : name === 'throttled' ? processorRate : null
  const steady = series.slice(10, -2)
  const mean = steady.reduce((sum, each) => sum + each, 0) / steady.length
  return {
    case: name,
    usedShare: allowed === null ? null : mean / allowed,
    most: await ask(client, mostInASecond),
    deadLetters: await ask(client, 'select dead_letter as value from status_counts()'),
    attempts: await ask(
      client,
      `select count(*) as value from message_events where type = 'attempt_started'`,
    ),
    messages: await ask(client, done),
    series: series.slice(0, name === 'limit' || name === 'throttled' ? undefined : 60),
  }
}

const mostInASecond = `
  select max(n) as value from (
    select count(*) over (order by recorded_at range between '999999 microseconds' preceding and current row) as n
    from message_events where type = 'attempt_started'
  ) s`

function isClean(parts: Parts): boolean {
  const checked = verify(parts)
  if (!checked.isClean) process.stdout.write(checked.output)
  return checked.isClean
}

function toLines(figure: Figure): string {
  const { usedShare, most, deadLetters, attempts, messages, series } = figure
  const used = usedShare === null ? '' : `${(usedShare * 100).toFixed(1)} % of the rate used, `
  return [
    `${figure.case.padEnd(10)}${messages} messages, ${attempts} attempts, ${used}at most ${most} in a second, ${deadLetters} dead letters, checker ${figure.isClean ? 'clean' : 'NOT CLEAN'}`,
    `  by second: ${series.join(' ')}`,
    '',
  ].join('\n')
}

process.exitCode = await runCommand({
  usage,
  options: {
    only: { type: 'string' },
    seconds: { type: 'string', default: '120' },
    waiting: { type: 'string', default: '50000' },
    json: { type: 'string' },
    ...namedOptions,
  },
  run,
})
