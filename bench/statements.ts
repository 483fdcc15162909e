import pg from 'pg'
import { exitCodes, readCount, runCommand } from '../src/commands/run-command.ts'
import type { Claim } from '../src/log/write/to-claim.ts'
import { ingest, type DecodedRecord } from '../src/log/write/ingest.ts'
import { look } from '../src/log/write/look.ts'
import { settle, type Settlement } from '../src/log/write/settle.ts'
import { migrate } from '../src/runtime/migrate.ts'
import { makeRecord } from './make-record.ts'
import { ask, readCpuNs, walPosition } from './measure.ts'
import { createDatabase, startDatabase } from './parts.ts'
import { takeable, takeOut, type Takeable } from './take-out.ts'

const usage = `Usage: npm run bench:statements -- [--rounds N] [--slice N] [--batch N] [--runs N] [--segments N] [--claims] [--without PART] [--nested] [--database-url U]

What a message costs the one session of PostgreSQL that stores it, starts its attempt and appends its success: CPU
microseconds (of the session's process, as Linux tells them) and bytes of WAL. The least of the runs is the one to compare.

  --rounds N   slices of each run (default 200)
  --slice N    records of a slice (default 250)
  --batch N    outcomes of a batch (default 125)
  --runs N     after one that warms up (default 5)
  --segments N  how many segments the log has before the one that is written to (default 0)
  --claims     the attempts are not started by the slice but by looks of the fresh lane
  --without P  in turn with a database whose functions are without a part of them: guard (the guard and the pace; every payment succeeds), or
               doubt (with --claims: the look at what was once unknown). One slice of each in turn: least and median of both, and of the differences
  --nested     what the statements inside of the functions take too, by the server's clock
  --database-url U   a server of yours on this machine; the run makes a database there and removes it
  --help       this text

Ends with 0 if all was measured, 2 if it could not run.
`

const topic = 'transactions.incoming'
const ingestActor = 'bench/ingest'
const freshLane = 'bench/fresh'

type Sizes = { rounds: number; slice: number; batch: number; claims: boolean }
/** CPU microseconds a message; `claim` is 0 where the slice starts the attempts. */
type Cost = { ingest: number; claim: number; settle: number; walBytes: number }

interface Flags {
  rounds: string
  slice: string
  batch: string
  runs: string
  segments: string
  claims: boolean
  without?: string
  nested: boolean
  'database-url'?: string
}

async function run(values: Flags): Promise<number> {
  const sizes = {
    rounds: readCount('rounds', values.rounds),
    slice: readCount('slice', values.slice),
    batch: readCount('batch', values.batch),
    claims: values.claims,
  }
  const runs = readCount('runs', values.runs)
  const segments = readCount('segments', values.segments, 0)
  const without = readTakeable(values.without)
  if (without !== null && values.nested) throw new Error('--nested does not go with --without.')
  const postgres = await findDatabase(values['database-url'])
  const subjects: Subject[] = []
  try {
    subjects.push(await prepare(postgres.url, sizes, segments))
    if (without === null) await measureAlone(subjects[0], sizes, runs, values.nested)
    else {
      const other = await createDatabase(postgres.url)
      subjects.push({ ...(await prepare(other.url, sizes, segments, without)), drop: other.drop })
      await compare(subjects, sizes, runs, without)
    }
    return exitCodes.done
  } finally {
    for (const { session, drop } of subjects.reverse()) {
      await session.end()
      await drop?.()
    }
    await postgres.stop()
  }
}

function readTakeable(text: string | undefined): Takeable | null {
  if (text === undefined) return null
  const found = takeable.find((each) => each === text)
  if (found === undefined)
    throw new Error(`--without knows ${takeable.join(' and ')}, not ${JSON.stringify(text)}.`)
  return found
}

type Subject = { session: pg.Pool; drop?: () => Promise<void> }

/** A database that has had its first run, which warms it up. */
async function prepare(url: string, sizes: Sizes, segments: number, without?: Takeable): Promise<Subject> {
  const session = new pg.Pool({ connectionString: url, max: 1 })
  await migrate({ connectionString: url })
  if (without !== undefined) await takeOut(session, without)
  await makeSegments(session, segments)
  await measure(session, sizes, 0)
  return { session }
}

async function measureAlone(
  subject: Subject | undefined,
  sizes: Sizes,
  runs: number,
  nested: boolean,
): Promise<void> {
  if (subject === undefined) return
  const { session } = subject
  if (nested) await watchNested(session)
  for (let run = 1; run <= runs; run++) tell(await measure(session, sizes, run))
  if (nested) await tellNested(session, runs * sizes.rounds * sizes.slice)
}

/**
 * One slice of each in turn, so that what others do to the machine meets both; which goes first changes. Told is each one's least and median
 * slice, and the median of the differences of two slices that were neighbours.
 */
async function compare(
  subjects: readonly Subject[],
  sizes: Sizes,
  runs: number,
  without: Takeable,
): Promise<void> {
  const sums: number[][] = subjects.map(() => [])
  for (let pair = 0; pair < runs * sizes.rounds; pair++) {
    for (const at of pair % 2 === 0 ? [0, 1] : [1, 0]) {
      const subject = subjects[at]
      if (subject === undefined) continue
      const cost = await measure(subject.session, { ...sizes, rounds: 1 }, sizes.rounds + pair)
      sums[at]?.push(cost.ingest + cost.claim + cost.settle)
    }
  }
  const [whole = [], shorter = []] = sums
  const differences = whole.map((each, at) => each - (shorter[at] ?? NaN))
  const told = (costs: readonly number[]): string =>
    `least ${Math.min(...costs).toFixed(2)} µs, median ${quantileOf(costs, 0.5).toFixed(2)} µs`
  process.stdout.write(
    `as it is        ${told(whole)} a message, over ${whole.length} slices\n` +
      `${`without ${without}`.padEnd(16)}${told(shorter)}\n` +
      `${without} costs ${quantileOf(differences, 0.5).toFixed(2)} µs a message (half of the differences lie between ` +
      `${quantileOf(differences, 0.25).toFixed(2)} and ${quantileOf(differences, 0.75).toFixed(2)})\n`,
  )
}

function quantileOf(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((one, other) => one - other)
  return sorted[Math.floor((sorted.length - 1) * share)] ?? NaN
}

/** As the sweep makes them while the ids go up, but small. */
async function makeSegments(session: pg.Pool, count: number): Promise<void> {
  for (let made = 1; made <= count; made++) {
    await session.query(`select setval('message_ids', $1)`, [made * 1_000])
    await session.query('select make_segments(1000)')
  }
  await session.query('select make_segments(5000000)')
}

async function findDatabase(
  serverUrl: string | undefined,
): Promise<{ url: string; stop: () => Promise<void> }> {
  if (serverUrl === undefined) return startDatabase()
  const { url, drop } = await createDatabase(serverUrl)
  return { url, stop: drop }
}

async function measure(
  session: pg.Pool,
  { rounds, slice, batch, claims: looks }: Sizes,
  run: number,
): Promise<Cost> {
  const messages = rounds * slice
  const pid = await ask(session, 'select pg_backend_pid() as value')
  const walBefore = await ask(session, walPosition)
  let ingestNs = 0
  let claimNs = 0
  let settleNs = 0
  for (let round = 0; round < rounds; round++) {
    const from = run * messages + round * slice
    const records = Array.from({ length: slice }, (_, at) => makeRecord(topic, from + at))
    const before = readCpuNs(pid)
    const started = await store(session, from, records, looks ? 0 : slice)
    const stored = readCpuNs(pid)
    const claims = looks ? await claimAll(session, slice) : started
    const between = readCpuNs(pid)
    const settlements = shuffle(claims.map(succeed))
    for (let at = 0; at < slice; at += batch)
      await settle(session, freshLane, settlements.slice(at, at + batch))
    ingestNs += stored - before
    claimNs += between - stored
    settleNs += readCpuNs(pid) - between
  }
  return {
    ingest: ingestNs / messages / 1_000,
    claim: claimNs / messages / 1_000,
    settle: settleNs / messages / 1_000,
    walBytes: ((await ask(session, walPosition)) - walBefore) / messages,
  }
}

async function store(
  session: pg.Pool,
  from: number,
  records: DecodedRecord[],
  room: number,
): Promise<Claim[]> {
  const slice = {
    topic,
    partition: 0,
    incarnation: 1,
    first: BigInt(from),
    next: BigInt(from + records.length),
    records,
    holes: [],
  }
  const answer = await ingest(session, slice, { actor: ingestActor, lane: freshLane, room, leaseMs: 60_000 })
  if (answer.kind !== 'stored' || answer.claims.length !== room) throw new Error('the slice was not stored')
  return answer.claims
}

/** One look, as the fresh lane makes it. */
async function claimAll(session: pg.Pool, count: number): Promise<Claim[]> {
  const lease = { leaseMs: 60_000, reconnectedAt: '-infinity', graceMs: 0 }
  const room = { all: count, slow: 0 }
  const doubt = { keyWindowMs: 86_400_000, inquires: false }
  const { claims } = await look(session, {
    lane: 'fresh',
    actor: freshLane,
    room,
    lease,
    lookFrom: {},
    withLeases: false,
    doubt,
  })
  if (claims.length !== count) throw new Error('the look did not claim all')
  return claims
}

function succeed(claim: Claim): Settlement {
  return {
    ...claim,
    outcome: { kind: 'accepted', statusCode: 200 },
    durationMs: 3 + 20 * Math.random(),
    decision: { then: 'success' },
    verdict: 'success',
  }
}

/** Outcomes come in no order. */
function shuffle<Item>(items: Item[]): Item[] {
  return items
    .map((item) => ({ item, place: Math.random() }))
    .sort((one, other) => one.place - other.place)
    .map(({ item }) => item)
}

async function watchNested(session: pg.Pool): Promise<void> {
  await session.query('create extension if not exists pg_stat_statements')
  await session.query(`select set_config('pg_stat_statements.track', 'all', false)`)
  await session.query('select pg_stat_statements_reset()')
}

async function tellNested(session: pg.Pool, messages: number): Promise<void> {
  const { rows } = await session.query<{ calls: string; micros: number; text: string }>(
    `select calls, total_exec_time * 1000 / $1::float8 as micros,
       left(regexp_replace(query, '\\s+', ' ', 'g'), 100) as text
     from pg_stat_statements order by total_exec_time desc limit 20`,
    [messages],
  )
  for (const { calls, micros, text } of rows)
    process.stdout.write(`${micros.toFixed(2).padStart(8)} µs ${calls.padStart(7)} calls  ${text}\n`)
}

function tell({ ingest, claim, settle, walBytes }: Cost): void {
  const claimed = claim === 0 ? '' : `claim ${claim.toFixed(1)}, `
  process.stdout.write(
    `${(ingest + claim + settle).toFixed(1)} µs a message: ingest ${ingest.toFixed(1)}, ${claimed}settle ${settle.toFixed(1)}; WAL ${walBytes.toFixed(0)} bytes\n`,
  )
}

process.exitCode = await runCommand({
  usage,
  options: {
    rounds: { type: 'string', default: '200' },
    slice: { type: 'string', default: '250' },
    batch: { type: 'string', default: '125' },
    runs: { type: 'string', default: '5' },
    segments: { type: 'string', default: '0' },
    claims: { type: 'boolean', default: false },
    without: { type: 'string' },
    nested: { type: 'boolean', default: false },
    'database-url': { type: 'string' },
  },
  run,
})
