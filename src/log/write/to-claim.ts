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

/** What a message's record, and who replayed it, say of where its attempts come from. Only traces need more than the traceparent. */
export type Origin = {
  /** The record's header of that name, in whatever form. */
  traceparent: string | null
  /** The record's headers as they are stored, where they were read: JSON text of [[name, base64 | null], …]. */
  headers?: string | null
  /** By what the message was last replayed, where it was read; null if it never was. */
  replayedBy?: Replayer | null
}

type Replayer = 'operator' | 'job'

/** One attempt that is open in the log. The lane that claimed it holds it. */
export type Claim = AttemptName &
  Origin & {
    /** Retries scheduled since `received` or the last `replayed`, before this attempt. */
    retries: number
    payload: Buffer
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
