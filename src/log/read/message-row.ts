import type { MessageId, Resolution, Status, TransactionId } from '../../message/message.ts'
import { rfc3339 } from './rfc3339.ts'

/** A message as it stands now, from the projection alone. Times are RFC 3339 in UTC with six digits. */
export type MessageRow = {
  readonly messageId: MessageId
  readonly transactionId: TransactionId
  readonly status: Status
  readonly retryCount: number
  readonly attempts: number
  readonly version: number
  readonly errorMessage: string | null
  /** The error without ids and numbers; see the SQL function failure_pattern. */
  readonly failurePattern: string | null
  /** Whether an operator keeps it from being attempted. */
  readonly held: boolean
  /** What an operator resolved the dead letter as; null while it is open, and for every other message. */
  readonly resolution: Resolution | null
  /** When the next attempt may start; null while processing, on hold, and when no attempt follows. */
  readonly nextDueAt: string | null
  readonly createdAt: string
  readonly updatedAt: string
  readonly outcomeUnknown: boolean
  /** What the processor called the payment last; null if no answer did. */
  readonly reference: string | null
  /** A dead letter whose bytes were expunged. They are not looked for in other statuses: they cost a look at another table. */
  readonly isExpungedLetter: boolean
  /** The position of the last event: a bigint as text. */
  readonly position: string
}

/** SQL for the condition that a row `s` of message_states, or the message after an event `s`, is on hold. */
export function isHeld(s: string): string {
  return `(${s}.status in ('pending', 'failed') and ${s}.due_at is null)`
}

/** SQL for the columns of a row `s` of message_states that `readMessageRow` needs. */
export function messageColumns(s: string): string {
  return `${s}.message_id, ${s}.transaction_id, ${s}.status, ${s}.retry_count, ${s}.attempts, ${s}.version, ${s}.error_message,
    failure_pattern(${s}.error_message) as failure_pattern,
    ${isHeld(s)} as held,
    case when ${s}.status = 'dead_letter' then (
      select d.resolution from decided_messages d where d.message_id = ${s}.message_id
    ) end as resolution,
    case when ${s}.status in ('pending', 'failed') then ${rfc3339(`${s}.due_at`)} end as next_due_at,
    ${rfc3339(`${s}.created_at`)} as created_at, ${rfc3339(`${s}.updated_at`)} as updated_at, ${s}.outcome_unknown, ${s}.reference, ${s}.position,
    ${s}.status = 'dead_letter' and coalesce((
      select x.payload_state = 'expunged' from records x where x.message_id = ${s}.message_id and x.version = 1
    ), false) as is_expunged_letter`
}

export type StateRow = {
  message_id: string
  transaction_id: string
  status: Status
  retry_count: number
  attempts: number
  version: number
  error_message: string | null
  failure_pattern: string | null
  held: boolean
  resolution: Resolution | null
  next_due_at: string | null
  created_at: string
  updated_at: string
  outcome_unknown: boolean
  reference: string | null
  is_expunged_letter: boolean
  position: string
}

export function readMessageRow(row: StateRow): MessageRow {
  return {
    messageId: row.message_id as MessageId,
    transactionId: row.transaction_id as TransactionId,
    status: row.status,
    retryCount: row.retry_count,
    attempts: row.attempts,
    version: row.version,
    errorMessage: row.error_message,
    failurePattern: row.failure_pattern,
    held: row.held,
    resolution: row.resolution,
    nextDueAt: row.next_due_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    outcomeUnknown: row.outcome_unknown,
    reference: row.reference,
    isExpungedLetter: row.is_expunged_letter,
    position: row.position,
  }
}
