import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'pg'
import { classifyFault } from '../server/fault.ts'
import { rfc3339 } from '../read/rfc3339.ts'
import type { RateLimit } from '../../message/rate-limit.ts'
import type { DestinationState } from './advance-destination.ts'

/** Who decides, and why. Both stay in the log for ever. */
export type Operator = { actor: string; reason: string }

/** When a pause ends by itself: at an instant (RFC 3339), or so many milliseconds from now by the database's clock. */
export type PauseEnd = { at: string } | { inMs: number }

/** The last decision about the destination. Times are RFC 3339 in UTC with six digits; `since` is null before the first decision. */
type LastDecision = {
  decision: number
  state: DestinationState
  since: string | null
  actor: string | null
  reason: string | null
  until: string | null
}

/** What became of a pause, a resume or a new limit. Only `paused`, `resumed` and `rate_set` were recorded. */
export type SteerAnswer =
  | ({ kind: 'paused' | 'resumed' | 'rate_set' } & LastDecision)
  /** Another operator was first. */
  | ({ kind: 'already_paused' } & LastDecision & { since: string; actor: string; reason: string })
  /** The pause was to end in the past. */
  | ({ kind: 'until_passed' } & LastDecision)
  /** The destination is neither held nor paused. */
  | ({ kind: 'not_stopped' } & LastDecision)
  /** It has this limit already. */
  | ({ kind: 'rate_unchanged' } & LastDecision)
  /** There is no destination of this name. */
  | { kind: 'unknown' }
  /** A transaction that waits for a lock itself was in the way, and nothing was recorded. */
  | { kind: 'in_the_way' }

/** Whether a decision was recorded. */
export function isRecorded(answer: SteerAnswer): boolean {
  return answer.kind === 'paused' || answer.kind === 'resumed' || answer.kind === 'rate_set'
}

// A decision waits shortly, because all lanes wait behind it; and it is tried so often, because a moment later the way may be free.
const triesMax = 8
const pauseMs = 100

/**
 * Pauses a destination, and notifies every instance. No attempt starts until it is resumed, or until `end`.
 *
 * @throws what pg throws; if the connection was lost, the pause may have been committed all the same
 */
export async function pauseDestination(
  database: Pick<Pool, 'query'>,
  destination: string,
  { actor, reason }: Operator,
  end: PauseEnd | null,
): Promise<SteerAnswer> {
  const at = end !== null && 'at' in end ? end.at : null
  const inMs = end !== null && 'inMs' in end ? end.inMs : null
  return steer(
    database,
    `pause_destination(in_destination => d.destination, in_actor => $2, in_reason => $3,
      in_until => coalesce($4::timestamptz, clock_timestamp() + $5::bigint * interval '1 millisecond'))`,
    [destination, actor, reason, at, inMs],
  )
}

/**
 * Ends a pause or a hold: the destination begins to ramp. Notifies every instance.
 *
 * @throws what pg throws; if the connection was lost, it may have been committed all the same
 */
export async function resumeDestination(
  database: Pick<Pool, 'query'>,
  destination: string,
  { actor, reason }: Operator,
): Promise<SteerAnswer> {
  return steer(
    database,
    'resume_destination(in_destination => d.destination, in_actor => $2, in_reason => $3)',
    [destination, actor, reason],
  )
}

/**
 * Limits how many attempts a second all instances together start. Notifies every instance.
 *
 * @param limit null takes the limit away
 * @throws what pg throws; if the connection was lost, it may have been committed all the same
 */
export async function setRateLimit(
  database: Pick<Pool, 'query'>,
  destination: string,
  operator: Operator,
  limit: RateLimit | null,
): Promise<SteerAnswer> {
  return setRate(database, destination, operator, 'rate', limit)
}

/**
 * The same for the settings of an instance that starts. Nothing is recorded if the last setting in the log was the same: an operator's limit
 * holds until the settings are changed.
 */
export async function recordRateSetting(
  database: Pick<Pool, 'query'>,
  destination: string,
  actor: string,
  limit: RateLimit | null,
): Promise<SteerAnswer> {
  const burst = limit?.burst === null || limit === null ? '' : `, RATE_BURST=${limit.burst}`
  const reason = `RATE_LIMIT=${limit?.perSecond ?? 0}${burst}`
  return setRate(database, destination, { actor, reason }, 'setting', limit)
}

async function setRate(
  database: Pick<Pool, 'query'>,
  destination: string,
  { actor, reason }: Operator,
  cause: 'rate' | 'setting',
  limit: RateLimit | null,
): Promise<SteerAnswer> {
  return steer(
    database,
    `set_rate_limit(in_destination => d.destination, in_actor => $2, in_reason => $3, in_cause => $4, in_per_second => $5,
      in_burst => $6)`,
    [destination, actor, reason, cause, limit?.perSecond ?? null, limit?.burst ?? null],
  )
}

async function steer(
  database: Pick<Pool, 'query'>,
  call: string,
  values: readonly unknown[],
): Promise<SteerAnswer> {
  for (let tries = 1; tries <= triesMax; tries++) {
    try {
      return await steerOnce(database, call, values)
    } catch (error) {
      if (classifyFault(error) !== 'locked') throw error
      await sleep(pauseMs)
    }
  }
  return { kind: 'in_the_way' }
}

async function steerOnce(
  database: Pick<Pool, 'query'>,
  call: string,
  values: readonly unknown[],
): Promise<SteerAnswer> {
  const { rows } = await database.query<Exclude<SteerAnswer, { kind: 'unknown' | 'in_the_way' }>>(
    `select s.answer as kind, s.decision, s.state, ${rfc3339('s.since')} as since, s.actor, s.reason, ${rfc3339('s.until')} as until
      from destinations d cross join lateral ${call} s where d.destination = $1`,
    [...values],
  )
  return rows[0] ?? { kind: 'unknown' }
}
