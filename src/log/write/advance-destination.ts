import type { Pool } from 'pg'
import { namedCall } from './named-call.ts'

/** Whether payments flow to a destination. Held: by the guard. Paused: by an operator. Ramping: room opens step by step. */
export type DestinationState = 'flowing' | 'held' | 'paused' | 'ramping'

/** Why a decision was made. The last four are about the pace alone and leave the state as it was. */
export type DecisionCause =
  | 'failures'
  | 'refusals'
  | 'probes'
  | 'ramped'
  | 'operator'
  | 'until'
  | 'rate'
  | 'setting'
  | 'throttled'
  | 'unthrottled'

/** When the guard decides. A count of 0 stands for never. */
export type GuardPolicy = {
  /** Failures in a row that hold the destination. */
  readonly holdAfter: number
  /** Refused payments in a row that hold it. */
  readonly brakeAfter: number
  /** Before the first probe, in milliseconds. */
  readonly probeEveryMs: number
}

/** How a destination stands. */
export type DestinationView = {
  /** The number of its last decision; 0 before the first one. Then cause, actor and reason are null, which are of that one. */
  decision: number
  state: DestinationState
  cause: DecisionCause | null
  actor: string | null
  reason: string | null
  /** The decision that began the state; null if none did. */
  stateDecision: number | null
  /** How long ago the state began, in milliseconds by the database's clock. */
  ageMs: number | null
  /** When a pause ends by itself. */
  until: Date | null
  untilInMs: number | null
  /** Attempts a second over all instances, and how many at once; null if there is no limit. */
  rateLimit: number | null
  rateBurst: number | null
  /** Whether the processor asked for less, and gets less. */
  isThrottled: boolean
  /** How long no attempt starts, because the processor asked for that; negative or null if it is over. */
  notBeforeInMs: number | null
  /** When it gets all again, if it does not ask again. */
  throttleEndsInMs: number | null
}

/**
 * Makes the decision about a destination that is due, if there is one, and reads how it stands.
 *
 * @param rampMs from the beginning of a ramp to its end
 */
export async function advanceDestination(
  database: Pick<Pool, 'query'>,
  destination: string,
  actor: string,
  policy: GuardPolicy,
  rampMs: number,
): Promise<DestinationView> {
  const call = namedCall('advance_destination', {
    in_destination: destination,
    in_actor: actor,
    in_hold_after: policy.holdAfter,
    in_brake_after: policy.brakeAfter,
    in_probe_every_ms: policy.probeEveryMs,
    in_ramp_ms: rampMs,
  })
  const { rows } = await database.query<Row>({
    name: 'advance_destination',
    text: `select decision, state, decision_cause, actor, reason, until, decided_ms_ago, until_in_ms, state_decision, rate_limit,
        rate_burst, is_throttled, not_before_in_ms, throttle_ends_in_ms
      from ${call.text}`,
    values: call.values,
  })
  const row = rows[0]
  if (row === undefined) throw new Error('advance_destination() answered no row')
  const { decision, state, actor: decidedBy, reason, until } = row
  return {
    decision,
    state,
    cause: row.decision_cause,
    stateDecision: row.state_decision,
    actor: decidedBy,
    reason,
    until,
    ageMs: row.decided_ms_ago,
    untilInMs: row.until_in_ms,
    rateLimit: row.rate_limit,
    rateBurst: row.rate_burst,
    isThrottled: row.is_throttled,
    notBeforeInMs: row.not_before_in_ms,
    throttleEndsInMs: row.throttle_ends_in_ms,
  }
}

type Row = Pick<DestinationView, 'decision' | 'state' | 'actor' | 'reason' | 'until'> & {
  decision_cause: DecisionCause | null
  state_decision: number | null
  decided_ms_ago: number | null
  until_in_ms: number | null
  rate_limit: number | null
  rate_burst: number | null
  is_throttled: boolean
  not_before_in_ms: number | null
  throttle_ends_in_ms: number | null
}
