import type { Pool } from 'pg'
import type { InquiryResult } from '../../message/inquiry.ts'
import type { Verdict } from '../../message/verdict.ts'
import { timestamptzArray } from './binary-array.ts'
import type { AttemptName, Origin } from './to-claim.ts'
import { cleanText } from './clean-text.ts'
import { referenceOf } from './settle.ts'

/**
 * A message in doubt that the processor is to be asked about. `attempt` was its last one, and was slow or not; the lease is the inquiry's. Its
 * origin is there only where it was read.
 */
export type Inquiry = AttemptName & Partial<Origin> & { retries: number; isSlow: boolean }

/** What the processor said of a payment, and when to go on. */
type AnsweredInquiry = InquiryResult & {
  durationMs: number
  verdict: Verdict
  /** How long to wait after the first answer that there is no such payment. */
  gapMs: number
  /** How long to wait after an answer that settles nothing. */
  delayMs: number
}

/**
 * Records what the processor said of a payment, and what follows.
 *
 * @returns `stale` if the message has changed since, and nothing was recorded
 */
export async function recordInquiry(
  database: Pool,
  actor: string,
  { messageId, transactionId, leaseEndsAt }: Inquiry,
  result: AnsweredInquiry,
): Promise<'recorded' | 'stale'> {
  const { rows } = await database.query<{ answer: 'recorded' | 'stale' }>(
    `select record_inquiry(in_actor => $1, in_message_id => $2, in_transaction_id => $3, in_lease_ends_at => ($4::timestamptz[])[1],
      in_inquiry => $5, in_status_code => $6, in_duration_ms => $7, in_reason => $8, in_gap_ms => $9, in_delay_ms => $10,
      in_verdict => $11, in_reference => $12) as answer`,
    [
      actor,
      messageId,
      transactionId,
      timestamptzArray([leaseEndsAt]),
      result.answer,
      result.statusCode,
      Math.round(result.durationMs),
      cleanText(result.reason),
      result.gapMs,
      result.delayMs,
      result.verdict,
      referenceOf(result),
    ],
  )
  return rows[0]?.answer ?? 'stale'
}
