import type { Pool } from 'pg'
import { recordInquiry, type Inquiry } from '../log/write/inquiry.ts'
import { backoff } from '../message/backoff.ts'
import { idempotencyKey } from '../message/idempotency-key.ts'
import type { InquiryResult } from '../message/inquiry.ts'
import type { Verdict } from '../message/verdict.ts'
import type { Metrics } from '../metrics.ts'
import type { Logger } from '../runtime/logger.ts'
import type { TraceHeaders, Tracing } from '../trace/tracing.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import type { Lane } from './lane.ts'
import type { AttemptPolicy } from './make-attempt.ts'
import type { References } from './references.ts'

/** How the processor is asked about payments in doubt. */
export type InquiryOptions = {
  /** Sends one request; never rejects. */
  ask: (
    payment: { idempotencyKey: string; transactionId: string; trace: TraceHeaders | null },
    signal: AbortSignal,
  ) => Promise<InquiryResult>
  /** How long to wait before a payment that was not found is asked about again. */
  gapMs: number
}

export type InquiryDependencies = InquiryOptions & {
  database: Pool
  policy: AttemptPolicy
  tracing: Tracing | null
  metrics: Metrics
  references: References
  logger: Logger
  signal: AbortSignal
}

/** When a message was claimed to be asked about, and whether it is. */
export type InquiryClaim = {
  /** On performance.now()'s clock: before the inquiry was started in the log. */
  readonly claimedAt: number
  /** False if it is not sent because the destination is held or paused. */
  readonly isSent: boolean
}

/**
 * Asks about one message when its turn in the lane comes, and records the answer. If the service stops, the inquiry is not sent in time,
 * or the answer cannot be recorded, nothing is lost: the message is due again when the lease of the inquiry ends.
 *
 * @returns once it has ended; never rejects
 */
export async function inquire(
  lane: Lane,
  inquiry: Inquiry,
  { claimedAt, isSent }: InquiryClaim,
  dependencies: InquiryDependencies,
): Promise<void> {
  const { signal, logger } = dependencies
  const drop = (reason: string): void => {
    if (!signal.aborted) logger.warn({ lane: lane.name, reason }, 'inquiry not recorded')
  }
  const send = (): Promise<void> => askAndRecord(lane, inquiry, dependencies)
  await lane.request({ send, drop }, inquiry.isSlow, claimedAt, isSent)
}

async function askAndRecord(lane: Lane, inquiry: Inquiry, dependencies: InquiryDependencies): Promise<void> {
  const { ask, gapMs, database, policy, tracing, metrics, references, logger, signal } = dependencies
  try {
    const startedAt = performance.now()
    const { transactionId, attempt } = inquiry
    // Without its origin nobody knows which trace it belongs to.
    const span = inquiry.traceparent === undefined ? undefined : tracing?.startInquiry(inquiry, lane.name)
    const payment = {
      idempotencyKey: idempotencyKey(transactionId),
      transactionId,
      trace: span?.headers ?? null,
    }
    const result = await ask(payment, signal)
    span?.end(result)
    if (signal.aborted) return
    const durationMs = performance.now() - startedAt
    const verdict = judgeInquiry(result, policy)
    const delayMs = Math.max(gapMs, backoff(policy, inquiry.retries, null))
    const answered = { ...result, durationMs, verdict, gapMs, delayMs }
    const outcome = await recordInquiry(database, lane.actor, inquiry, answered)
    metrics.inquiries.inc({ answer: result.answer })
    references.note(result.reference, transactionId, attempt)
    const line = { transaction_id: transactionId, lane: lane.name, attempt, inquiry: result.answer }
    const more = { status_code: result.statusCode, ms: Math.round(durationMs), reason: result.reason }
    if (outcome === 'stale') logger.warn({ ...line, ...more }, 'message changed while it was asked about')
    else if (result.answer === 'refused') logger.warn({ ...line, ...more }, 'dead letter')
    else logger.info({ ...line, ...more }, 'inquiry')
  } catch (error) {
    logger.warn({ lane: lane.name, reason: reasonOf(error) }, 'inquiry not recorded')
  }
}

/** Counts only if the inquiry was the probe of a held destination. */
function judgeInquiry({ answer, statusCode }: InquiryResult, { holdStatuses }: AttemptPolicy): Verdict {
  if (answer !== 'no_answer') return 'none'
  return statusCode === null || statusCode >= 500 || holdStatuses(statusCode) ? 'failure' : 'none'
}
