import { exitCodes, FlagFault, readCount, readNumber } from '../commands/run-command.ts'
import { commandLine } from '../runtime/shell-words.ts'
import { ask, change, Refused } from './ask.ts'
import { requireResolution } from './decide.ts'
import { enumName, filterFlags, filterUsage, readFilter } from './filter.ts'
import { group, printCommand, printJson, printLines, printTable, shortTime } from './print.ts'
import { ending, readOne, readReason, subcommand } from './subcommand.ts'

const planUsage = `Usage: npx tqp plan [FILTER …] --reason R [--json]

Chooses the open dead letters that meet all the conditions, and counts them. Nothing is replayed or resolved yet: the command that does so is
printed. A plan can be started for an hour. What becomes a dead letter later is not in it.

${filterUsage.replace('received since T', 'dead letters since T').replace('received before T', 'dead letters before T')}  --reason R       why, for the log
${ending}`

const startUsage = `Usage: npx tqp start PLAN [--per-second N [--ramp-from N]] [--stop-share S --stop-after N] [--dry-run] [--json]
       npx tqp start PLAN --resolve-as R --reason R

Starts the job of a plan: it replays each of the plan's dead letters once, behind live payments, or resolves all of them. The job runs in the service;
npx tqp jobs shows how it stands.

  --per-second N   replays a second (default: as fast as live payments leave room)
  --ramp-from N    the pace to begin with; it doubles every 10 s until it is --per-second
  --stop-share S   stops by itself once this share of the last --stop-after that ended failed again: above 0, at most 1
  --stop-after N   of how many that ended last --stop-share is the share
  --confirm-not-carried-out
                   also replays those in doubt whose key the processor may have forgotten: you confirm that they were not carried out
  --key K          a name for this request: a second request with the same name and flags changes nothing
  --resolve-as R   resolves them in place of a replay: carried-out, not-carried-out, duplicate or ignored
  --reason R       why, for the log (default for a replay: the reason of the plan)
  --dry-run        changes nothing: prints the command that would do it
${ending}`

const jobsUsage = `Usage: npx tqp jobs [ID [--pause | --resume | --pace N | --abort] --reason R] [--dry-run] [--json]

Lists the jobs that replay or resolve dead letters, the newest first, or shows one, or steers it.

  --pause          replays nothing more until it is resumed
  --resume         goes on, also after it has stopped by itself
  --pace N         replays N a second from now on
  --abort          ends it for good: the dead letters that are left stay as they are
  --reason R       why, for the log
  --first N        lists so many, at most 200 (default: 20)
  --dry-run        changes nothing: prints how it stands, and the command that would do it
${ending}`

const planFields = `__typename
  ... on ReplayPlan {
    id reason count outcomeUnknown pastKeyWindow notReplayable expiresAt
    byPattern { pattern count } byCause { cause count } notReplayableBy { reason count }
  }
  ... on PlanRefused { text }`

const jobFields = `id kind resolution state actor reason perSecond planned replayed succeeded failedAgain skipped skippedBy { reason count } left
  rate etaSeconds waitsFor stoppedBecause startedAt endedAt`

const jobResult = `{ __typename ... on ReplayJob { ${jobFields} } ... on JobRefused { text } }`

type Plan = {
  readonly __typename: 'ReplayPlan'
  readonly id: string
  readonly count: string
  readonly outcomeUnknown: string
  readonly pastKeyWindow: string
  readonly notReplayable: string
  readonly expiresAt: string
  readonly byPattern: readonly { readonly pattern: string; readonly count: string }[]
  readonly byCause: readonly { readonly cause: string; readonly count: string }[]
}

type Job = {
  readonly id: string
  readonly kind: string
  readonly resolution: string | null
  readonly state: string
  readonly actor: string
  readonly reason: string
  readonly perSecond: number | null
  readonly planned: string
  readonly replayed: string
  readonly succeeded: string
  readonly failedAgain: string
  readonly skipped: string
  readonly skippedBy: readonly { readonly reason: string; readonly count: string }[]
  readonly left: string
  readonly rate: number | null
  readonly etaSeconds: number | null
  readonly waitsFor: string | null
  readonly stoppedBecause: string | null
  readonly startedAt: string
  readonly endedAt: string | null
}

type Refusal = { readonly __typename: 'PlanRefused' | 'JobRefused'; readonly text: string }
type JobAnswer = { readonly result: ({ readonly __typename: 'ReplayJob' } & Job) | Refusal }

export const plan = subcommand('plan', 'choose dead letters to replay or resolve', {
  usage: planUsage,
  options: { ...filterFlags, reason: { type: 'string' }, json: { type: 'boolean', default: false } },
  run: async ({ reason, json, ...flags }) => {
    const { createdAt, ...filter } = readFilter(flags)
    const { result } = await ask<{ result: Plan | Refusal }>(
      `mutation ($filter: MessageFilter!, $reason: String!) { result: planReplay(filter: $filter, reason: $reason) { ${planFields} } }`,
      { filter: { ...filter, deadLetteredAt: createdAt }, reason: readReason(reason) },
    )
    if (result.__typename !== 'ReplayPlan') throw new Refused(result.text)
    if (json) printJson({ plan: result })
    else printLines(describePlan(result))
    return exitCodes.done
  },
})

export const start = subcommand('start', 'start the job of a plan', {
  usage: startUsage,
  options: {
    'per-second': { type: 'string' },
    'ramp-from': { type: 'string' },
    'stop-share': { type: 'string' },
    'stop-after': { type: 'string' },
    'confirm-not-carried-out': { type: 'boolean', default: false },
    key: { type: 'string' },
    'resolve-as': { type: 'string' },
    reason: { type: 'string' },
    'dry-run': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
  allowPositionals: true,
  run: async ({ json, 'dry-run': isDry, ...flags }, words) => {
    const id = readOne('plan', words)
    const as = flags['resolve-as']
    const { query, variables } = as === undefined ? replayOf(id, flags) : resolutionOf(id, as, flags)
    if (isDry) return tellCommand('start', id, flags, json ? {} : null)
    const { result } = await change<JobAnswer>(query, variables, `plan ${id}`, 'npx tqp jobs')
    return tellJob(result, json)
  },
})

const actions = {
  pause: 'pauseReplay',
  resume: 'resumeReplay',
  pace: 'changePace',
  abort: 'abortReplay',
} as const

/** In which states the service takes each; of those of a job that has ended, in none. */
const takenIn: Readonly<Record<keyof typeof actions, readonly string[]>> = {
  pause: ['RUNNING', 'WAITING'],
  resume: ['PAUSED', 'STOPPED'],
  pace: ['RUNNING', 'WAITING', 'PAUSED', 'STOPPED'],
  abort: ['RUNNING', 'WAITING', 'PAUSED', 'STOPPED'],
}

export const jobs = subcommand('jobs', 'how replay jobs stand, and steer them', {
  usage: jobsUsage,
  options: {
    pause: { type: 'boolean', default: false },
    resume: { type: 'boolean', default: false },
    pace: { type: 'string' },
    abort: { type: 'boolean', default: false },
    reason: { type: 'string' },
    first: { type: 'string' },
    'dry-run': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
  allowPositionals: true,
  run: async ({ json, first, 'dry-run': isDry, ...flags }, words) => {
    const chosen = (Object.keys(actions) as (keyof typeof actions)[]).filter(
      (name) => flags[name] !== undefined && flags[name] !== false,
    )
    const [action] = chosen
    if (chosen.length > 1) throw new FlagFault('Give at most one of --pause, --resume, --pace and --abort.')
    if (words.length === 0) {
      if (action !== undefined || flags.reason !== undefined) throw new FlagFault('Name the job.')
      return list(json, readCount('first', first ?? '20'))
    }
    if (first !== undefined) throw new FlagFault('--first belongs to the list of all jobs.')
    const id = readOne('job', words)
    if (action === undefined) {
      if (flags.reason !== undefined)
        throw new FlagFault('--reason belongs to --pause, --resume, --pace or --abort.')
      return show(id, json)
    }
    const reason = readReason(flags.reason)
    const perSecond = action === 'pace' ? readNumber('pace', flags.pace) : undefined
    if (isDry) {
      const job = await find(id)
      if (!json) printLines(describeJob(job))
      if (!takenIn[action].includes(job.state))
        throw new Refused(
          `Nothing was changed, and it would be refused: the job is ${job.state.toLowerCase()}.`,
        )
      return tellCommand('jobs', id, flags, json ? { job } : null)
    }
    const pace = action === 'pace' ? [', $perSecond: Float!', ', perSecond: $perSecond'] : ['', '']
    const { result } = await change<JobAnswer>(
      `mutation ($id: ID!, $reason: String!${pace[0]}) { result: ${actions[action]}(job: $id, reason: $reason${pace[1]}) ${jobResult} }`,
      { id, reason, perSecond },
      `job ${id}`,
      `npx tqp jobs`,
    )
    return tellJob(result, json)
  },
})

type StartFlags = {
  readonly 'per-second'?: string | undefined
  readonly 'ramp-from'?: string | undefined
  readonly 'stop-share'?: string | undefined
  readonly 'stop-after'?: string | undefined
  readonly 'confirm-not-carried-out': boolean
  readonly key?: string | undefined
  readonly reason?: string | undefined
}

function replayOf(plan: string, flags: StartFlags) {
  const failedShare = readNumber('stop-share', flags['stop-share'])
  const after = flags['stop-after'] === undefined ? undefined : readCount('stop-after', flags['stop-after'])
  if ((failedShare === undefined) !== (after === undefined))
    throw new FlagFault('--stop-share and --stop-after belong together.')
  return {
    query: `mutation ($plan: ID!, $perSecond: Float, $rampFrom: Float, $stopWhen: StopWhen, $confirmed: Boolean, $reason: String, $key: String) {
      result: startReplay(plan: $plan, perSecond: $perSecond, rampFrom: $rampFrom, stopWhen: $stopWhen, confirmNotCarriedOut: $confirmed,
        reason: $reason, idempotencyKey: $key) ${jobResult}
    }`,
    variables: {
      plan,
      perSecond: readNumber('per-second', flags['per-second']),
      rampFrom: readNumber('ramp-from', flags['ramp-from']),
      stopWhen: failedShare === undefined ? undefined : { failedShare, after },
      confirmed: flags['confirm-not-carried-out'],
      reason: flags.reason === undefined ? undefined : readReason(flags.reason),
      key: flags.key,
    },
  }
}

function resolutionOf(plan: string, as: string, { reason, ...others }: StartFlags) {
  const given = Object.entries(others).find(
    ([name, value]) => name !== 'resolve-as' && value !== undefined && value !== false,
  )
  if (given !== undefined) throw new FlagFault(`--${given[0]} belongs to a replay, not to --resolve-as.`)
  requireResolution('resolve-as', as)
  return {
    query: `mutation ($plan: ID!, $as: Resolution!, $reason: String!) { result: resolveMany(plan: $plan, as: $as, reason: $reason) ${jobResult} }`,
    variables: { plan, as: enumName(as), reason: readReason(reason) },
  }
}

function describePlan(plan: Plan): string[] {
  const lines = [
    `Plan ${plan.id}: ${group(plan.count)} open dead letters. It can be started until ${shortTime(plan.expiresAt)}.`,
    ...plan.byCause.map(({ cause, count }) => `  ${group(count).padStart(10)}  ${cause.toLowerCase()}`),
    ...plan.byPattern.map(({ pattern, count }) => `  ${group(count).padStart(10)}  ${pattern}`),
  ]
  if (plan.outcomeUnknown !== '0')
    lines.push(
      `${group(plan.outcomeUnknown)} of them may have been carried out: the outcome of an attempt is unknown.`,
    )
  if (plan.pastKeyWindow !== '0')
    lines.push(
      `Of ${group(plan.pastKeyWindow)} of those the processor may have forgotten the key: a replay skips them without --confirm-not-carried-out.`,
    )
  if (plan.notReplayable !== '0')
    lines.push(`${group(plan.notReplayable)} can never be sent or were cancelled: a replay skips them.`)
  lines.push('Nothing was changed. These replay or resolve them:')
  lines.push(`  npx tqp start ${plan.id} --per-second 20`)
  lines.push(`  npx tqp start ${plan.id} --resolve-as not-carried-out --reason 'why'`)
  return lines
}

/** @param document what JSON tells beside the command; null for words */
function tellCommand(
  word: 'start' | 'jobs',
  id: string,
  flags: Readonly<Record<string, string | boolean | undefined>>,
  document: object | null,
): number {
  const command = commandLine(['npx', 'tqp', word], flags, [id])
  if (document !== null) printJson({ ...document, command })
  else printCommand(command)
  return exitCodes.done
}

function tellJob(result: JobAnswer['result'], json: boolean): number {
  if (result.__typename !== 'ReplayJob') throw new Refused(result.text)
  if (json) printJson({ job: result })
  else printLines(describeJob(result))
  return exitCodes.done
}

async function show(id: string, json: boolean): Promise<number> {
  const job = await ask<{ job: Job | null }>(jobQuery, { id })
  if (json) printJson(job)
  if (job.job === null) throw new Refused(explainNone(id))
  if (!json) printLines(describeJob(job.job))
  return exitCodes.done
}

const jobQuery = `query ($id: ID!) { job: replayJob(id: $id) { ${jobFields} } }`

const explainNone = (id: string): string => `There is no job ${JSON.stringify(id)}.`

/** @throws Refused where there is none */
async function find(id: string): Promise<Job> {
  const { job } = await ask<{ job: Job | null }>(jobQuery, { id })
  if (job === null) throw new Refused(explainNone(id))
  return job
}

async function list(json: boolean, first: number): Promise<number> {
  const { jobs } = await ask<{ jobs: { nodes: readonly Job[] } }>(
    `query ($first: Int) { jobs: replayJobs(first: $first) { nodes { ${jobFields} } } }`,
    { first },
  )
  if (json) printJson({ jobs: jobs.nodes })
  else if (jobs.nodes.length === 0) printLines(['There are no jobs.'])
  else
    printTable<Job>(
      {
        job: (job) => job.id,
        kind: (job) => job.kind.toLowerCase(),
        state: (job) => job.state.toLowerCase(),
        planned: (job) => Number(job.planned),
        done: (job) => Number(job.replayed),
        skipped: (job) => Number(job.skipped),
        left: (job) => Number(job.left),
        started: (job) => shortTime(job.startedAt),
        by: (job) => job.actor,
        reason: (job) => job.reason,
      },
      jobs.nodes,
    )
  return exitCodes.done
}

function describeJob(job: Job): string[] {
  const isReplay = job.kind === 'REPLAY'
  const pace = job.perSecond === null ? '' : `, ${job.perSecond} a second`
  const lines = [
    `job          ${job.id} ${isReplay ? 'replays' : `resolves as ${String(job.resolution).toLowerCase()}`}${isReplay ? pace : ''}, by ${job.actor}: ${job.reason}`,
    `state        ${job.state.toLowerCase()}, started ${shortTime(job.startedAt)}${job.endedAt === null ? '' : `, ended ${shortTime(job.endedAt)}`}`,
    `planned      ${group(job.planned)}: ${group(job.replayed)} ${isReplay ? 'replayed' : 'resolved'}, ${group(job.skipped)} skipped, ${group(job.left)} left`,
  ]
  if (isReplay)
    lines.push(`since        ${group(job.succeeded)} succeeded, ${group(job.failedAgain)} failed again`)
  for (const { reason, count } of job.skippedBy)
    lines.push(`skipped      ${group(count)} ${reason.toLowerCase().replaceAll('_', ' ')}`)
  if (job.rate !== null) {
    const end = job.etaSeconds === null ? '' : `, ${Math.ceil(job.etaSeconds)} s to go`
    lines.push(`rate         ${job.rate.toFixed(1)} a second${end}`)
  }
  if (job.waitsFor !== null) lines.push(`waits        ${job.waitsFor}`)
  if (job.stoppedBecause !== null) lines.push(`stopped      ${job.stoppedBecause}`)
  return lines
}
