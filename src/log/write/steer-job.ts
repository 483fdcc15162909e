import type { Pool } from 'pg'
import type { Resolution } from '../../message/message.ts'
import type { JobState, StopWhen } from '../../message/replay-job.ts'
import { namedCall } from './named-call.ts'

export type StartRequest = {
  plan: string
  actor: string
  /** Why; null for the reason of the plan. */
  reason: string | null
  /** Replays a second; null for as fast as the room of the lane allows. */
  perSecond: number | null
  /** The pace to begin with; it doubles every 10 s until it is `perSecond`. Null begins with that. */
  rampFrom: number | null
  stopWhen: StopWhen | null
  /** Whether those in doubt whose key may be forgotten are replayed too: the operator says that they were not carried out. */
  confirmNotCarriedOut: boolean
  /** The caller's name for this request. */
  requestKey: string | null
}

/** Why no job was started. */
type StartRefusal = 'unknown' | 'expired' | 'already_started' | 'key_reused'

/** `started` by this request, or `repeated`: by the same request before. */
export type StartAnswer = 'started' | 'repeated' | StartRefusal

/**
 * Starts the job that replays what was planned, and notifies every instance. The job has the number of the plan.
 *
 * @throws what pg throws; if the connection was lost, it may have been started all the same
 */
export async function startReplay(
  database: Pick<Pool, 'query'>,
  request: StartRequest,
): Promise<StartAnswer> {
  return start(database, { ...request, kind: 'replay', resolution: null })
}

/** The same for the job that resolves what was planned, which has no pace. */
export async function startResolution(
  database: Pick<Pool, 'query'>,
  request: { plan: string; actor: string; as: Resolution; reason: string },
): Promise<StartAnswer> {
  const { as: resolution, ...others } = request
  const noPace = {
    perSecond: null,
    rampFrom: null,
    stopWhen: null,
    confirmNotCarriedOut: false,
    requestKey: null,
  }
  return start(database, { ...others, ...noPace, kind: 'resolve', resolution })
}

type Start = StartRequest & {
  kind: 'replay' | 'resolve'
  resolution: Resolution | null
}

async function start(database: Pick<Pool, 'query'>, request: Start): Promise<StartAnswer> {
  const call = namedCall('start_job', {
    in_plan: request.plan,
    in_kind: request.kind,
    in_resolution: request.resolution,
    in_actor: request.actor,
    in_reason: request.reason,
    in_per_second: request.perSecond,
    in_ramp_from: request.rampFrom,
    in_stop_share: request.stopWhen?.failedShare ?? null,
    in_stop_after: request.stopWhen?.after ?? null,
    in_is_confirmed: request.confirmNotCarriedOut,
    in_request_key: request.requestKey,
  })
  const { rows } = await database.query<{ answer: StartAnswer }>(
    `select answer from ${call.text} as answer`,
    call.values,
  )
  const [row] = rows
  if (row === undefined) throw new Error('start_job() answered no row')
  return row.answer
}

/** What an operator decides about a job. */
export type JobDecision = { kind: 'pause' | 'resume' | 'abort' } | { kind: 'pace'; perSecond: number }

/** What became of it. Only `steered` was recorded. */
export type JobAnswer = { kind: 'steered' } | { kind: 'wrong_state'; state: JobState } | { kind: 'unknown' }

/**
 * Records the decision, and notifies every instance.
 *
 * @throws what pg throws; if the connection was lost, it may have been recorded all the same
 */
export async function steerJob(
  database: Pick<Pool, 'query'>,
  job: string,
  decision: JobDecision,
  { actor, reason }: { actor: string; reason: string },
): Promise<JobAnswer> {
  const call = namedCall('steer_job', {
    in_job: job,
    in_action: decision.kind,
    in_actor: actor,
    in_reason: reason,
    in_per_second: decision.kind === 'pace' ? decision.perSecond : null,
  })
  const { rows } = await database.query<JobAnswerRow>(
    `select answer as kind, state from ${call.text}`,
    call.values,
  )
  const [row] = rows
  if (row === undefined) throw new Error('steer_job() answered no row')
  return row.kind === 'wrong_state' ? row : { kind: row.kind }
}

type JobAnswerRow =
  { kind: 'steered' | 'unknown'; state: JobState | null } | { kind: 'wrong_state'; state: JobState }
