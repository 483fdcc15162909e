import type { MessageId, TransactionId } from '../../message/message.ts'

/**
 * Names one attempt for ever. The message id and the number alone are not enough: after a failover that lost the end of the log,
 * both are given out again, also to other payments. The lease is then a different one.
 */
export type AttemptName = {
  messageId: MessageId
  transactionId: TransactionId
  /** Counts from 1, and never starts again. */
  attempt: number
  /** When its lease ends, in microseconds since 1970 by the database's clock. */
  leaseEndsAt: bigint
}

/** One attempt that is open in the log. The lane that claimed it holds it. */
export type Claim = AttemptName & {
  /** Retries scheduled since `received` or the last `replayed`, before this attempt. */
  retries: number
  payload: Buffer
  traceparent: string | null
  /** Milliseconds from receiving the message to claiming it, by the database's clock. */
  ageMs: number
  /** True if a look claimed it while the destination was held. */
  isProbe?: boolean
  /** True if the attempt before it was slow. */
  isSlow?: boolean
}

/** A row of the SQL functions `look_lane` and `open_attempts`. */
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
