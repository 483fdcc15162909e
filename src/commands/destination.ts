import type pg from 'pg'
import { databaseForTools } from '../config.ts'
import { readAuthor } from '../config/read-author.ts'
import { readSpan } from '../config/read-span.ts'
import { listDecisions, type DestinationDecision } from '../log/read/list-decisions.ts'
import { readDestination, type DestinationStanding } from '../log/read/read-destinations.ts'
import {
  pauseDestination,
  resumeDestination,
  setRateLimit,
  isRecorded,
  type PauseEnd,
  type SteerAnswer,
} from '../log/write/steer-destination.ts'
import { isRateLimit, rateLimitMax, rateLimitMin, type RateLimit } from '../message/rate-limit.ts'
import { connectPatiently } from '../runtime/connect-patiently.ts'
import { normalizeDateTime } from '../runtime/date-time.ts'
import { createToolPool } from '../runtime/tool-sessions.ts'
import { explainDatabase } from './explain-database.ts'
import { recorded } from './record-command.ts'
import { exitCodes, runCommand } from './run-command.ts'

const usage = `Usage: npm run destination -- [--pause [--until T]|--resume|--rate N [--burst B]] [--reason R] [--name N] [--operator O]

Pauses the delivery of payments, resumes it, or limits its rate, on all instances at once. The decision is recorded with its operator and
reason. Without --pause, --resume and --rate it changes nothing: it prints how the destination stands and what was decided last.

  --pause       starts no more attempts. Open ones end as usual, and records are still stored
  --until T     when the pause ends by itself: a time like 2026-11-29T06:00:00Z, or a span from now like 30m (s, m, h or d). Without it
                an operator must end the pause
  --resume      ends a pause, or a hold of the guard. The destination begins to ramp: the room for requests doubles each second
  --rate N      starts at most N attempts a second, over all instances; 0 takes the limit away. It holds until it is set again, or
                RATE_LIMIT is changed
  --burst B     how many of them may start at once (default: a fifth of the rate, 2 at least)
  --reason R    why, for the log
  --name N      the destination (default: default)
  --operator O  who decides (default: the user of this shell)
  --help        this text

Ends with 0 if the decision is recorded or nothing was asked for, 1 if there is nothing to change, 2 if it could not run.
`

const options = {
  name: { type: 'string', default: 'default' },
  pause: { type: 'boolean', default: false },
  resume: { type: 'boolean', default: false },
  rate: { type: 'string' },
  burst: { type: 'string' },
  until: { type: 'string' },
  reason: { type: 'string' },
  operator: { type: 'string' },
} as const

interface Flags {
  name: string
  pause: boolean
  resume: boolean
  rate?: string | undefined
  burst?: string | undefined
  until?: string | undefined
  reason?: string | undefined
  operator?: string | undefined
}

// A hundred years.
const spanMsMax = 36_500 * 24 * 60 * 60 * 1_000
const decisionsShown = 10

async function run(flags: Flags): Promise<number> {
  const act = readAction(flags)
  connectPatiently()
  const database = createToolPool('destination', databaseForTools())
  try {
    if (act === null) return await show(database, flags.name)
    const answer = await act(database)
    process.stdout.write(`${explain(flags, answer)}\n`)
    return isRecorded(answer) ? exitCodes.done : exitCodes.differs
  } finally {
    await database.end()
  }
}

/** Null if nothing is to be changed. */
function readAction(flags: Flags): ((database: pg.Pool) => Promise<SteerAnswer>) | null {
  const { name, pause, resume, rate, burst, until } = flags
  if ([pause, resume, rate !== undefined].filter(Boolean).length > 1)
    throw new Error('Give at most one of --pause, --resume and --rate.')
  if (burst !== undefined && rate === undefined) throw new Error('--burst belongs to --rate.')
  if (until !== undefined && !pause) throw new Error('--until belongs to --pause.')
  const end = until === undefined ? null : readEnd(until)
  const limit = rate === undefined ? null : readLimit(rate, burst)
  if (!pause && !resume && rate === undefined) {
    if (flags.reason === undefined && flags.operator === undefined) return null
    throw new Error('--reason and --operator belong to --pause, --resume or --rate.')
  }
  const { operator, reason } = readAuthor(flags)
  const by = { actor: operator, reason }
  if (pause) return (database) => pauseDestination(database, name, by, end)
  if (resume) return (database) => resumeDestination(database, name, by)
  return (database) => setRateLimit(database, name, by, limit)
}

/** Null for none. */
function readLimit(rate: string, burst: string | undefined): RateLimit | null {
  const limit = { perSecond: readNumber(rate), burst: burst === undefined ? null : readNumber(burst) }
  if (limit.perSecond === 0 && burst === undefined) return null
  if (isRateLimit(limit)) return limit
  throw new Error(
    `--rate must be 0, or a number from ${rateLimitMin} to ${rateLimitMax}, and --burst a whole number from 1 to ${rateLimitMax} beside it.`,
  )
}

function readNumber(text: string): number {
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN
}

function readEnd(text: string): PauseEnd {
  const inMs = readSpan(text)
  if (inMs !== null && inMs > 0 && inMs <= spanMsMax) return { inMs }
  const at = normalizeDateTime(text)
  if (at !== null) return { at }
  throw new Error(
    '--until must be a time with its zone, like 2026-11-29T06:00:00Z, or a span from now, like 30m, of at most 36500d.',
  )
}

function explain({ name, rate }: Flags, answer: SteerAnswer): string {
  switch (answer.kind) {
    case 'paused': {
      const end = answer.until === null ? 'until an operator resumes it' : `until ${answer.until}`
      return `Destination ${name} is paused ${end}. ${tellRecorded(answer)}`
    }
    case 'resumed':
      return `Destination ${name} is ramping. ${tellRecorded(answer)}`
    case 'rate_set':
      return `The limit of destination ${name} is ${Number(rate) === 0 ? 'taken away' : 'set'}. ${tellRecorded(answer)}`
    case 'already_paused': {
      const end = answer.until === null ? '' : `, until ${answer.until}`
      return `Destination ${name} is paused since ${answer.since}${end}, by ${answer.actor}: ${answer.reason}`
    }
    case 'until_passed':
      return 'The pause would be over already by the clock of the database: give a later --until.'
    case 'not_stopped':
      return `There is nothing to resume: destination ${name} is ${answer.state}${tellBy(answer)}`
    case 'rate_unchanged':
      return `Destination ${name} has this limit already${tellBy(answer)}`
    case 'unknown':
      return unknown(name)
    case 'in_the_way':
      return 'A transaction that waits for a lock is in the way, and nothing was recorded: try again.'
  }
}

type Decided = { actor: string | null; since: string | null; reason: string | null }

function tellRecorded({ actor, reason }: Decided): string {
  return `Recorded as decided by ${actor}: ${reason}`
}

/** Who decided last; the end of a sentence. */
function tellBy({ actor, since, reason }: Decided): string {
  return actor === null ? '.' : ` since ${since}, by ${actor}: ${reason}`
}

async function show(database: pg.Pool, name: string): Promise<number> {
  const standing = await readDestination(database, name)
  if (standing === null) {
    process.stdout.write(`${unknown(name)}\n`)
    return exitCodes.differs
  }
  const decisions = await listDecisions(database, name, null, decisionsShown)
  const lines = [
    ...describe(standing),
    ...(decisions.length > 0 ? ['last decisions:'] : []),
    ...decisions.map(tell),
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
  return exitCodes.done
}

function describe(standing: DestinationStanding): string[] {
  const { name, state, since, until, nextProbeAt, failures, held, rateLimit, throttledRate, notBefore } =
    standing
  const lines = [`Destination ${name} is ${state} since ${since}.`]
  if (until !== null) lines.push(`The pause ends at ${until}.`)
  if (nextProbeAt !== null) lines.push(`The next probe may start at ${nextProbeAt}.`)
  if (state !== 'flowing') lines.push(`${held} messages wait.`)
  if (rateLimit !== null) {
    lines.push(`At most ${rateLimit} attempts a second start, and ${standing.rateBurst} at once.`)
  }
  if (throttledRate !== null) {
    const wait = notBefore === null ? '' : `, and none before ${notBefore}`
    lines.push(`The processor asked for less: it gets ${throttledRate.toFixed(1)} attempts a second${wait}.`)
  }
  if (failures > 0) lines.push(`${failures} failures in a row.`)
  return lines
}

function tell(decision: DestinationDecision): string {
  const { recordedAt, actor, reason } = decision
  return `  ${recordedAt}  ${tellChange(decision)}, by ${actor}: ${reason}`
}

function tellChange({ state, cause, until, rateLimit }: DestinationDecision): string {
  switch (cause) {
    case 'rate':
    case 'setting':
      return rateLimit === null ? 'no limit' : `${rateLimit} a second`
    case 'throttled':
    case 'unthrottled':
      return cause
    case 'failures':
    case 'refusals':
    case 'probes':
    case 'ramped':
    case 'operator':
    case 'until':
      return `${state}${until === null ? '' : ` until ${until}`}`
  }
}

function unknown(name: string): string {
  return `There is no destination ${JSON.stringify(name)}.`
}

process.exitCode = await runCommand(
  recorded('destination', { usage, options, run, explain: explainDatabase }),
)
