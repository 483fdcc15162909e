import { exitCodes, FlagFault, readCount, readNumber } from '../commands/run-command.ts'
import { readSpan } from '../config/read-span.ts'
import { normalizeDateTime } from '../runtime/date-time.ts'
import { commandLine } from '../runtime/shell-words.ts'
import { ask, change, Refused } from './ask.ts'
import { printCommand, printJson, printLines, printTable, shortTime } from './print.ts'
import { describeDestination, type Destination } from './status.ts'
import { ending, readReason, subcommand } from './subcommand.ts'

const usage = `Usage: npx tqp destination [--pause [--until T] | --resume | --rate N [--burst B]] [--reason R] [--name N] [--dry-run] [--json]

Pauses the delivery of payments, resumes it, or limits its rate, on all instances at once. Without --pause, --resume and --rate it changes
nothing, and prints how the destination stands and what was decided last.

  --pause          starts no more attempts. Open ones end as usual, and records are still stored
  --until T        when the pause ends by itself: a time like 2026-11-29T06:00:00Z, or a span from now like 30m (s, m, h or d)
  --resume         ends a pause, or a hold of the guard
  --rate N         starts at most N attempts a second, over all instances; 0 takes the limit away
  --burst B        how many of them may start at once
  --reason R       why, for the log
  --name N         the destination (default: default)
  --dry-run        changes nothing: prints how it stands, and the command that would do it
${ending}`

const options = {
  pause: { type: 'boolean', default: false },
  until: { type: 'string' },
  resume: { type: 'boolean', default: false },
  rate: { type: 'string' },
  burst: { type: 'string' },
  reason: { type: 'string' },
  name: { type: 'string', default: 'default' },
  'dry-run': { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const

const query = `query ($name: String!) {
  destination(name: $name) {
    name url state since cause actor reason until nextProbeAt held rateLimit rateBurst throttledRate notBefore consecutiveFailures
    decisions(first: 10) { nodes { recordedAt state cause actor reason until rateLimit } }
  }
}`

type Decision = {
  readonly recordedAt: string
  readonly state: string
  readonly cause: string
  readonly actor: string
  readonly reason: string
  readonly until: string | null
  readonly rateLimit: number | null
}

type Found = Destination & { readonly decisions: { readonly nodes: readonly Decision[] } | null }

const result =
  '{ __typename ... on DestinationChanged { decision state } ... on DestinationRefusal { text } }'
const mutations = {
  pause: `mutation ($name: String!, $reason: String!, $until: DateTime) { result: pauseDestination(name: $name, reason: $reason, until: $until) ${result} }`,
  resume: `mutation ($name: String!, $reason: String!) { result: resumeDestination(name: $name, reason: $reason) ${result} }`,
  rate: `mutation ($name: String!, $reason: String!, $perSecond: Float!, $burst: Int) { result: setRateLimit(name: $name, reason: $reason, perSecond: $perSecond, burst: $burst) ${result} }`,
} as const

interface Flags {
  pause: boolean
  until?: string | undefined
  resume: boolean
  rate?: string | undefined
  burst?: string | undefined
  reason?: string | undefined
  name: string
  'dry-run': boolean
  json: boolean
}

export const destination = subcommand('destination', 'pause, resume, or limit the rate', {
  usage,
  options,
  run,
})

async function run(flags: Flags): Promise<number> {
  const act = readAction(flags)
  if (act === null || flags['dry-run']) {
    const found = await print(flags, act === null ? null : commandOf(flags))
    if (act === null) return exitCodes.done
    const refusal = refusalOf(act.name, found)
    if (refusal !== null) throw new Refused(`Nothing was changed, and it would be refused: ${refusal}`)
    if (!flags.json) printCommand(commandOf(flags))
    return exitCodes.done
  }
  const until = flags.until === undefined ? {} : { until: await findEnd(flags.until) }
  const { result } = await change<{ result: Answer }>(
    mutations[act.name],
    { name: flags.name, ...act.variables, ...until },
    null,
    'npx tqp destination',
  )
  if (flags.json) printJson({ result })
  if (result.__typename !== 'DestinationChanged') {
    if (flags.json) return exitCodes.differs
    throw new Refused(result.text ?? result.__typename)
  }
  if (!flags.json)
    printLines([
      `Destination ${flags.name} is ${result.state?.toLowerCase()}: decision ${result.decision} is recorded.`,
    ])
  return exitCodes.done
}

/** Why the service would refuse it as things stand; null if it would not. */
function refusalOf(action: Action['name'], { name, state }: Found): string | null {
  const isStopped = state === 'PAUSED' || state === 'HELD'
  if (action === 'pause' && state === 'PAUSED') return `destination ${name} is paused already.`
  if (action === 'resume' && !isStopped) return `destination ${name} is ${state.toLowerCase()}.`
  return null
}

type Answer = {
  readonly __typename: string
  readonly text?: string
  readonly decision?: number
  readonly state?: string
}

type Action = { readonly name: keyof typeof mutations; readonly variables: Readonly<Record<string, unknown>> }

/** Null if nothing is to be changed. */
function readAction({ pause, resume, rate, burst, until, reason }: Flags): Action | null {
  if ([pause, resume, rate !== undefined].filter(Boolean).length > 1)
    throw new FlagFault('Give at most one of --pause, --resume and --rate.')
  if (burst !== undefined && rate === undefined) throw new FlagFault('--burst belongs to --rate.')
  if (until !== undefined && !pause) throw new FlagFault('--until belongs to --pause.')
  if (!pause && !resume && rate === undefined) {
    if (reason !== undefined) throw new FlagFault('--reason belongs to --pause, --resume or --rate.')
    return null
  }
  const why = { reason: readReason(reason) }
  if (until !== undefined) readEnd(until, Date.now())
  if (pause) return { name: 'pause', variables: why }
  if (resume) return { name: 'resume', variables: why }
  const variables = {
    perSecond: readNumber('rate', rate),
    burst: burst === undefined ? null : readCount('burst', burst),
  }
  return { name: 'rate', variables: { ...why, ...variables } }
}

/** When the pause ends, by the service's clock: the one of whoever pauses may be wrong. */
async function findEnd(text: string): Promise<string> {
  const { metrics } = await ask<{ metrics: { at: string } | null }>('{ metrics { at } }')
  return readEnd(text, metrics === null ? Date.now() : Date.parse(metrics.at))
}

/** @throws FlagFault */
function readEnd(text: string, nowMs: number): string {
  const ms = readSpan(text)
  const end = ms !== null && ms > 0 ? toTime(nowMs + ms) : normalizeDateTime(text)
  if (end !== null) return end
  throw new FlagFault(
    '--until must be a time with its zone, like 2026-11-29T06:00:00Z, or a span from now, like 30m.',
  )
}

/** Null for what is no date. */
function toTime(ms: number): string | null {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? null : normalizeDateTime(date.toISOString())
}

function commandOf(flags: Flags): string {
  return commandLine(['npx', 'tqp', 'destination'], {
    ...flags,
    name: flags.name === options.name.default ? undefined : flags.name,
    json: undefined,
    'dry-run': undefined,
  })
}

/**
 * @param command what a dry run would do
 * @returns what it has printed
 */
async function print({ name, json }: Flags, command: string | null): Promise<Found> {
  const { destination } = await ask<{ destination: Found | null }>(query, { name })
  if (json) printJson({ destination, ...(command !== null && { command }) })
  if (destination === null) throw new Refused(`There is no destination ${JSON.stringify(name)}.`)
  if (json) return destination
  printLines([...describeDestination(destination), ''])
  printTable<Decision>(
    {
      decided: (row) => shortTime(row.recordedAt),
      cause: (row) => row.cause.toLowerCase(),
      'from then on': (row) => {
        const rate = row.rateLimit === null ? 'no limit' : `${row.rateLimit} a second`
        const isOfRate = row.cause === 'RATE' || row.cause === 'SETTING'
        const until = row.until === null ? '' : ` until ${shortTime(row.until)}`
        return isOfRate ? rate : `${row.state.toLowerCase()}${until}`
      },
      by: (row) => row.actor,
      reason: (row) => row.reason,
    },
    destination.decisions?.nodes ?? [],
  )
  return destination
}
