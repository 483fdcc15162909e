import type { Claim } from '../log/write/claim.ts'
import type { SettleAnswer } from '../log/write/settle.ts'
import { decide, type RetryPolicy } from '../message/decide.ts'
import { idempotencyKey } from '../message/idempotency-key.ts'
import type { Outcome } from '../message/outcome.ts'
import type { Metrics } from '../metrics.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Lane } from './lane.ts'
import type { Finished } from './store-outcomes.ts'

/** Sends one request; never rejects. The deadline is on performance.now()'s clock, and past it nothing is sent. */
export type Deliver = (
  delivery: { body: Buffer; idempotencyKey: string; attempt: number; traceparent: string | null },
  deadlineAt: number,
) => Promise<Outcome>

/** Makes the one HTTP attempt of a claim and decides what is to follow. */
export async function makeAttempt(
  claim: Claim,
  deadlineAt: number,
  deliver: Deliver,
  policy: RetryPolicy,
): Promise<Finished> {
  const startedAt = performance.now()
  const outcome = await deliver(
    {
      body: claim.payload,
      idempotencyKey: idempotencyKey(claim.transactionId),
      attempt: claim.attempt,
      traceparent: claim.traceparent,
    },
    deadlineAt,
  )
  return {
    claim,
    messageId: claim.messageId,
    transactionId: claim.transactionId,
    attempt: claim.attempt,
    leaseEndsAt: claim.leaseEndsAt,
    outcome,
    durationMs: performance.now() - startedAt,
    decision: decide(outcome, claim.retries, policy),
  }
}

/** One wide line an attempt, and what it counts, once its outcome is in the log. */
export function reportAttempt(
  lane: Lane,
  finished: Finished,
  answer: SettleAnswer,
  policy: RetryPolicy,
  metrics: Metrics,
  logger: Logger,
): void {
  const { claim, outcome, decision, durationMs } = finished
  metrics.attempts.inc({ lane: lane.name, outcome: outcome.kind })
  metrics.attemptSeconds.observe({ lane: lane.name }, durationMs / 1_000)
  const line = {
    transaction_id: claim.transactionId,
    lane: lane.name,
    attempt: claim.attempt,
    outcome: outcome.kind,
    status_code: 'statusCode' in outcome ? outcome.statusCode : null,
    ms: Math.round(durationMs * 10) / 10,
  }
  if (answer === 'stray') {
    logger.warn({ ...line, answer }, 'outcome kept of an attempt that a failover took out of the log')
    return
  }
  if (answer === 'late') {
    logger.warn({ ...line, answer }, 'outcome came after its attempt had ended')
    return
  }
  switch (decision.then) {
    case 'success':
      metrics.endToEndSeconds.observe((claim.ageMs + durationMs) / 1_000)
      logger.info(line, 'attempt')
      return
    case 'retry':
      logger.info(
        {
          ...line,
          reason: 'reason' in outcome ? outcome.reason : null,
          retry: `${claim.retries + 1}/${policy.retriesMax}`,
          next_retry_at: new Date(Date.now() + decision.delayMs).toISOString(),
        },
        'attempt',
      )
      return
    case 'dead_letter':
      logger.warn({ ...line, reason: 'reason' in outcome ? outcome.reason : null }, 'dead letter')
      return
  }
}
