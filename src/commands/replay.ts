import type pg from 'pg'
import { databaseForTools } from '../config.ts'
import { readAuthor } from '../config/read-author.ts'
import { letterFlags, readLetterFilter, type LetterFlags } from '../config/read-letter-filter.ts'
import { countReplayable, readPlan, type ReplayPlan } from '../log/read/read-plan.ts'
import { planReplay } from '../log/write/plan-replay.ts'
import { startReplay, type StartAnswer } from '../log/write/steer-job.ts'
import { isPace, paceMax, paceMin, stopAfterMax, type StopWhen } from '../message/replay-job.ts'
import { connectPatiently } from '../runtime/connect-patiently.ts'
import { commandLine } from '../runtime/shell-words.ts'
import { createToolPool } from '../runtime/tool-sessions.ts'
import { explainDatabase } from './explain-database.ts'
import { recorded } from './record-command.ts'
import { exitCodes, readNumber, runCommand } from './run-command.ts'

const usage = `Usage: npm run replay -- [FILTER … | --plan N] [--dry-run] [--per-second N] [--ramp-from N] [--stop-share S --stop-after N] [--reason R] [--operator O]

Plans which open dead letters are to be replayed, prints the plan, and starts the job that replays them, each once. The job runs in the service,
behind live payments. With --dry-run nothing is started: the command that starts the plan is printed. A plan can be started for an hour.

FILTER: which dead letters. All conditions must hold; without any, all open ones are meant.
  --status-code N       the last attempt got this HTTP status; may be given more than once, as --cause and --id
  --cause C             refused, retries_exhausted, outcome_unknown, rejected_record, conflicting_record or cancelled
  --pattern P           the last failure has exactly this pattern, as the plan prints it
  --error-contains T    the last failure contains this text
  --since T             dead letters since then: a time like 2026-11-29T06:00:00Z, or a span before now like 2h (s, m, h or d)
  --until T             and before then
  --created-since T     first stored since then
  --created-until T     and before then
  --id ID               this transaction
  --id-prefix P         transactions whose id begins so
  --reference R         an answer of the processor called the payment R
  --topic T             first stored from this topic
  --partition N         first stored from this partition
  --outcome-unknown B   true: may have been paid; false: the others
  --retries-min N       at least so many retries
  --retries-max N       at most so many retries

how:
  --plan N              starts this plan, and makes none
  --dry-run             only makes the plan
  --per-second N        replays a second (default: as fast as live payments leave room)
  --ramp-from N         the pace to begin with; it doubles every 10 s until it is --per-second
  --stop-share S        stops once this share of the last --stop-after that ended failed again: above 0, at most 1
  --stop-after N        of how many that ended last --stop-share is the share
  --confirm-not-carried-out
                        also replays those in doubt whose key the processor may have forgotten: you confirm that they were not carried out
  --reason R            why, for the log; not needed for --dry-run
  --operator O          who decides (default: the user of this shell)
  --help                this text

Ends with 0 if the job is started or the plan is made, 1 if nothing is to be replayed or the plan cannot be started, 2 if it could not run.
`

const options = {
  ...letterFlags,
  plan: { type: 'string' },
  'dry-run': { type: 'boolean', default: false },
  'per-second': { type: 'string' },
  'ramp-from': { type: 'string' },
  'stop-share': { type: 'string' },
  'stop-after': { type: 'string' },
  'confirm-not-carried-out': { type: 'boolean', default: false },
  reason: { type: 'string' },
  operator: { type: 'string' },
} as const

type Flags = LetterFlags & {
  plan?: string | undefined
  'dry-run': boolean
  'per-second'?: string | undefined
  'ramp-from'?: string | undefined
  'stop-share'?: string | undefined
  'stop-after'?: string | undefined
  'confirm-not-carried-out': boolean
  reason?: string | undefined
  operator?: string | undefined
}

// Of the plan; whoever starts it may give none either, and then it stands beside each replay.
const noReason = 'planned by npm run replay, no reason given'

async function run(flags: Flags): Promise<number> {
  const pace = readPace(flags)
  const given = Object.fromEntries(
    Object.entries(flags).filter(([name, value]) => name in letterFlags && value !== undefined),
  )
  const filter = readLetterFilter(flags)
  const isDry = flags['dry-run']
  const confirmNotCarriedOut = flags['confirm-not-carried-out']
  if (flags.plan !== undefined && (isDry || Object.keys(given).length > 0))
    throw new Error(
      '--plan names a plan that was made: --dry-run and what chooses dead letters belong to a new one.',
    )
  if (flags.plan !== undefined && !/^\d{1,18}$/.test(flags.plan))
    throw new Error('--plan must be the number of a plan.')
  const { operator: actor, reason } = readAuthor({
    ...flags,
    reason: flags.reason ?? (isDry ? noReason : undefined),
  })
  connectPatiently()
  const database = createToolPool('replay', databaseForTools())
  try {
    let id = flags.plan
    if (id === undefined) {
      const plan = await makePlan(database, { filter, given, actor, reason })
      if (plan === null) return exitCodes.differs
      process.stdout.write(`${describe(plan, pace.perSecond)}\n`)
      if (isDry) {
        process.stdout.write(`Start it with: ${startCommand(plan, flags)}\n`)
        return exitCodes.done
      }
      id = plan.id
    }
    const answer = await startReplay(database, {
      plan: id,
      actor,
      reason,
      requestKey: null,
      confirmNotCarriedOut,
      ...pace,
    })
    process.stdout.write(`${explain(id, answer)}\n`)
    return answer === 'started' ? exitCodes.done : exitCodes.differs
  } finally {
    await database.end()
  }
}

/** Null if there is none, and then it has said why. */
async function makePlan(
  database: pg.Pool,
  request: Parameters<typeof planReplay>[1],
): Promise<ReplayPlan | null> {
  const client = await database.connect()
  try {
    const answer = await planReplay(client, request)
    if (answer.kind === 'planned') return await readPlan(client, answer.id)
    process.stdout.write(
      answer.kind === 'nothing'
        ? 'No open dead letter is like that.\n'
        : 'Another plan is being made: try again in a few seconds.\n',
    )
    return null
  } finally {
    client.release()
  }
}

function readPace(flags: Flags) {
  const perSecond = readNumber('per-second', flags['per-second']) ?? null
  const rampFrom = readNumber('ramp-from', flags['ramp-from']) ?? null
  if (perSecond !== null && !isPace(perSecond))
    throw new Error(`--per-second must be a number from ${paceMin} to ${paceMax}.`)
  if (rampFrom !== null && (perSecond === null || !isPace(rampFrom) || rampFrom > perSecond))
    throw new Error(`--ramp-from must be a number from ${paceMin} to --per-second, which it needs.`)
  return { perSecond, rampFrom, stopWhen: readStop(flags) }
}

function readStop(flags: Flags): StopWhen | null {
  const failedShare = readNumber('stop-share', flags['stop-share']) ?? null
  const after = readNumber('stop-after', flags['stop-after']) ?? null
  if (failedShare === null && after === null) return null
  if (failedShare !== null && failedShare > 0 && failedShare <= 1 && isCount(after))
    return { failedShare, after }
  throw new Error(
    `--stop-share must be above 0 and at most 1, and --stop-after a whole number from 1 to ${stopAfterMax} beside it.`,
  )
}

function isCount(after: number | null): after is number {
  return after !== null && Number.isInteger(after) && after >= 1 && after <= stopAfterMax
}

function describe(plan: ReplayPlan, perSecond: number | null): string {
  const replayable = countReplayable(plan)
  const list = (counts: ReplayPlan['byCause'] | ReplayPlan['notReplayable']) =>
    counts.map(({ key, count }) => `${key} ${count}`).join(', ')
  const lines = [
    `Plan ${plan.id}: ${plan.count} open dead letters, frozen. It can be started until ${plan.expiresAt}.`,
    `  by cause: ${list(plan.byCause)}`,
    ...plan.byPattern.map(({ pattern, count }) => `  ${count.padStart(8)}  ${pattern}`),
    `${plan.outcomeUnknown} of them may have been paid: an attempt ended without a known outcome.`,
  ]
  if (plan.pastKeyWindow !== '0')
    lines.push(
      `Of ${plan.pastKeyWindow} of those the processor may have forgotten the key: a replay skips them without --confirm-not-carried-out.`,
    )
  if (plan.notReplayable.length > 0)
    lines.push(`A replay skips what can never be sent, or was cancelled: ${list(plan.notReplayable)}.`)
  lines.push(
    perSecond === null
      ? `${replayable} would be replayed, as fast as live payments leave room.`
      : `${replayable} would be replayed, in ${Math.ceil(Number(replayable) / perSecond)} s at ${perSecond} a second.`,
  )
  return lines.join('\n')
}

/** What starts the plan as this command line would have. */
function startCommand({ id }: ReplayPlan, flags: Flags): string {
  return commandLine(['npm', 'run', 'replay', '--'], {
    plan: id,
    'per-second': flags['per-second'],
    'ramp-from': flags['ramp-from'],
    'stop-share': flags['stop-share'],
    'stop-after': flags['stop-after'],
    operator: flags.operator,
    'confirm-not-carried-out': flags['confirm-not-carried-out'],
    reason: flags.reason ?? 'why',
  })
}

function explain(id: string, answer: StartAnswer): string {
  switch (answer) {
    case 'started':
      return `Job ${id} is started. \`npx tqp jobs ${id}\` shows how it stands.`
    case 'repeated':
    case 'already_started':
    case 'key_reused':
      return `Plan ${id} was started before.`
    case 'expired':
      return `Plan ${id} is older than an hour: plan again.`
    case 'unknown':
      return `There is no plan ${id}; one that nobody starts is removed after an hour.`
  }
}

process.exitCode = await runCommand(recorded('replay', { usage, options, run, explain: explainDatabase }))
