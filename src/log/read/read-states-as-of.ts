import type { Pool } from 'pg'
import type { MessageId, Resolution, Status } from '../../message/message.ts'
import { isHeld } from './message-row.ts'
import { rfc3339 } from './rfc3339.ts'

/** What a message was at an instant, according to the log. */
export type StateAsOf = {
  readonly messageId: MessageId
  readonly status: Status
  readonly retryCount: number
  readonly attempts: number
  readonly version: number
  readonly errorMessage: string | null
  readonly held: boolean
  readonly resolution: Resolution | null
  readonly outcomeUnknown: boolean
  readonly nextDueAt: string | null
}

// The recorded times of a message never decrease, so the events up to an instant are its first versions. Which events set the error
// is the rule of the SQL function project; which decision stands is that of decisions_of.
const statement = {
  name: 'read_states_as_of',
  text: `select i.message_id, l.version, l.status, l.retry_count, f.attempts, f.error_message, f.outcome_unknown,
      ${isHeld('l')} as held, case when l.status = 'dead_letter' then f.resolution end as resolution,
      case when l.status in ('pending', 'failed') then ${rfc3339('l.due_at')} end as next_due_at
    from unnest($1::bigint[]) as i (message_id)
    cross join lateral (
      select e.version, e.status, e.retry_count, e.due_at from message_events e
      where e.message_id = i.message_id and e.recorded_at <= $2::timestamptz order by e.version desc limit 1
    ) l
    cross join lateral (
      select coalesce(max(e.attempt), 0) as attempts, coalesce(bool_or(e.outcome = 'unknown'), false) as outcome_unknown,
        (array_agg(case when e.status in ('failed', 'dead_letter') then e.reason end order by e.version desc) filter (
          where e.type in ('received', 'succeeded', 'attempt_failed', 'attempt_abandoned', 'replayed', 'rejected')
            or (e.type = 'conflict_received' and e.version = 1)
            or (e.type = 'late_result_observed' and e.status = 'success')))[1] as error_message,
        (array_agg(e.resolution order by e.version desc) filter (where e.type in ('resolved', 'reopened')))[1] as resolution
      from message_events e where e.message_id = i.message_id and e.version <= l.version
    ) f`,
}

/**
 * Reads what these messages were at an instant; events recorded at the instant itself count. A message that had not been
 * received by then has no row.
 *
 * @param at RFC 3339
 */
export async function readStatesAsOf(
  database: Pick<Pool, 'query'>,
  messageIds: readonly MessageId[],
  at: string,
): Promise<StateAsOf[]> {
  const { rows } = await database.query<{
    message_id: MessageId
    version: number
    status: Status
    retry_count: number
    attempts: number
    error_message: string | null
    held: boolean
    resolution: Resolution | null
    outcome_unknown: boolean
    next_due_at: string | null
  }>({ ...statement, values: [messageIds, at] })
  return rows.map((row) => ({
    messageId: row.message_id,
    status: row.status,
    retryCount: row.retry_count,
    attempts: row.attempts,
    version: row.version,
    errorMessage: row.error_message,
    held: row.held,
    resolution: row.resolution,
    outcomeUnknown: row.outcome_unknown,
    nextDueAt: row.next_due_at,
  }))
}
