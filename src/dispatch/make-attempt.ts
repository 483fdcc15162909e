import type { Claim } from '../log/write/to-claim.ts'
import type { SettleAnswer } from '../log/write/settle.ts'
import { decide, decideUnsent, retryDelayOf, type RetryPolicy } from '../message/decide.ts'
import { idempotencyKey } from '../message/idempotency-key.ts'
import type { LaneName } from '../message/message.ts'
import type { Outcome } from '../message/outcome.ts'
import { judge, type Verdict } from '../message/verdict.ts'
import type { Metrics } from '../metrics.ts'
import type { Logger } from '../runtime/logger.ts'
import type { RequestSpan } from '../trace/tracing.ts'
import type { Finished } from './outcome-store.ts'

/** Sends one request; never rejects. The deadline is on performance.now()'s clock, and past it nothing is sent. */
export type Deliver = (
  delivery: {
    body: Buffer
    idempotencyKey: string
    attempt: number
    traceparent: string | null
    tracestate?: string | null
  },
  deadlineAt: number,
) => Promise<Outcome>

export type AttemptPolicy = RetryPolicy & {
  /** The statuses by which the destination refuses us, and not one payment. */
  readonly holdStatuses: (statusCode: number) => boolean
}

// A request that had less than this part of its timeout says nothing of the destination when its time runs out. The part is not the whole:
// some leases that the settings allow leave every request a little less than its timeout, and the guard must count those requests too.
const fairPart = 1 / 2

export type AttemptOptions = {
  readonly deliver: Deliver
  readonly policy: AttemptPolicy
  /** How long a request may take where the lease leaves it the time. */
  readonly timeoutMs: number
  /** Null if traces are off: then the record's own traceparent is sent on. */
  readonly startSpan: (claim: Claim) => RequestSpan<Outcome> | null
}

/**
 * Makes the one HTTP attempt of a claim and decides what is to follow.
 *
 * @param waitedMs how long the claim waited for a request to end
 * @param options the same for all attempts of a lane
 */
export async function makeAttempt(
  claim: Claim,
  deadlineAt: number,
  waitedMs: number,
  { deliver, policy, timeoutMs, startSpan }: AttemptOptions,
): Promise<Finished> {
  const span = startSpan(claim)
  const startedAt = performance.now()
  const outcome = await deliver(
    {
      body: claim.payload,
      idempotencyKey: idempotencyKey(claim.transactionId),
      attempt: claim.attempt,
      traceparent: claim.traceparent,
      ...span?.headers,
    },
    deadlineAt,
  )
  span?.end(outcome)
  const decision = decide(outcome, claim.retries, policy)
  const endedAt = performance.now()
  // The time ran out because the database was slow to claim, not because the destination was slow to answer.
  const isCutShort = endedAt >= deadlineAt && deadlineAt - startedAt < timeoutMs * fairPart
  const judged = judge(outcome, true, policy.holdStatuses)
  const verdict = isCutShort && judged === 'failure' ? 'none' : judged
  return finish(claim, { outcome, durationMs: endedAt - startedAt, decision, verdict, waitedMs })
}

/** Ends the attempt of a claim that waited for a request to end and was not sent. The log knows it by the duration of null. */
export function endUnsent(claim: Claim, reason: string): Finished {
  const outcome = { kind: 'not_sent', reason: `waited in its lane and was not sent: ${reason}` } as const
  return finish(claim, { outcome, durationMs: null, decision: decideUnsent(), verdict: 'none', waitedMs: 0 })
}

function finish(
  claim: Claim,
  end: Pick<Finished, 'outcome' | 'durationMs' | 'decision' | 'verdict' | 'waitedMs'>,
): Finished {
  const { messageId, transactionId, attempt, leaseEndsAt } = claim
  return { claim, messageId, transactionId, attempt, leaseEndsAt, ...end }
}

/** One wide line an attempt, and what it counts, once its outcome is in the log. */
export function reportAttempt(
  lane: LaneName,
  finished: Finished,
  answer: SettleAnswer,
  { policy, metrics, logger }: { policy: RetryPolicy; metrics: Metrics; logger: Logger },
): void {
  const { claim, outcome, decision, durationMs, waitedMs, verdict } = finished
  metrics.attempts.inc({ lane, outcome: outcome.kind })
  if (claim.isProbe === true) countProbe(verdict, metrics)
  if (durationMs !== null) metrics.attemptSeconds.observe({ lane }, durationMs / 1_000)
  const line = {
    transaction_id: claim.transactionId,
    lane,
    attempt: claim.attempt,
    outcome: outcome.kind,
    status_code: 'statusCode' in outcome ? outcome.statusCode : null,
    ms: durationMs === null ? null : Math.round(durationMs * 10) / 10,
  }
  if (answer === 'stray') {
    logger.warn({ ...line, answer }, 'outcome kept of an attempt that a failover took out of the log')
    return
  }
  if (answer === 'late') {
    logger.warn({ ...line, answer }, 'outcome came after its attempt had ended')
    return
  }
  if (decision.then === 'success') {
    metrics.endToEndSeconds.observe((claim.ageMs + waitedMs + (durationMs ?? 0)) / 1_000)
    logger.info(line, 'attempt')
    return
  }
  const reason = 'reason' in outcome ? outcome.reason : null
  const isSpared = answer === 'spared'
  const delayMs = retryDelayOf(decision, isSpared)
  if (delayMs === null) {
    logger.warn({ ...line, reason }, 'dead letter')
    return
  }
  logger.info(
    {
      ...line,
      reason,
      retry: `${claim.retries + (isSpared || durationMs === null ? 0 : 1)}/${policy.retriesMax}`,
      next_retry_at: new Date(Date.now() + delayMs).toISOString(),
    },
    'attempt',
  )
}

/** A probe that was not sent has no result. */
function countProbe(verdict: Verdict, { probes }: Metrics): void {
  if (verdict !== 'none') probes.inc({ result: verdict === 'failure' ? 'failed' : 'answered' })
}
