import type { MessageId, TransactionId } from '../../message/message.ts'

/**
 * Names one attempt for ever. Message id and number alone do not: a failover that lost the end of the log has them given out
 * again, to other payments too; the lease is another one then.
 */
export type AttemptName = {
  messageId: MessageId
  transactionId: TransactionId
  /** From 1, and never restarted. */
  attempt: number
  /** When its lease ends, in microseconds since 1970 by the database's clock. */
  leaseEndsAt: bigint
}

/** One attempt that is open in the log and held by the lane that claimed it. */
export type Claim = AttemptName & {
  /** Retries scheduled since `received` or the last `replayed`, before this attempt. */
  retries: number
  payload: Buffer
  traceparent: string | null
  /** Milliseconds from when the message was received to its claim, by the database's clock. */
  ageMs: number
}

/** A row of the SQL functions `look` and `open_attempts`. */
export type ClaimRow = {
  message_id: string
  attempt: number
  lease_ends_at: string
  retry_count: number
  transaction_id: string
  payload: Buffer
  traceparent: string | null
  age_ms: number
}

export function toClaim(row: ClaimRow): Claim {
  return {
    messageId: row.message_id as MessageId,
    transactionId: row.transaction_id as TransactionId,
    attempt: row.attempt,
    leaseEndsAt: BigInt(row.lease_ends_at),
    retries: row.retry_count,
    payload: row.payload,
    traceparent: row.traceparent,
    ageMs: row.age_ms,
  }
}
