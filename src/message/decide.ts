import { backoff, type BackoffPolicy } from './backoff.ts'
import type { Outcome } from './outcome.ts'

export type RetryPolicy = BackoffPolicy & { readonly retriesMax: number }

/** What follows an attempt: the message succeeded, is retried after a delay, or is a dead letter. */
export type Decision = { then: 'success' } | { then: 'retry'; delayMs: number } | { then: 'dead_letter' }

/**
 * Decides what follows an attempt's outcome.
 *
 * @param retries the number of retries scheduled since `received` or the last `replayed`; the database's
 *   clock turns the delay into a due time
 */
export function decide(
  outcome: Outcome,
  retries: number,
  policy: RetryPolicy,
  random: () => number = Math.random,
): Decision {
  switch (outcome.kind) {
    case 'accepted':
      return { then: 'success' }
    case 'refused':
      return { then: 'dead_letter' }
    case 'unavailable':
      return retry(retries, policy, outcome.retryAfterMs, random)
    case 'not_sent':
    case 'unknown':
      return retry(retries, policy, null, random)
  }
}

/**
 * Decides what follows an attempt whose lease ended without an outcome. It uses up a retry. The retry is due
 * at once, because the cause was probably a crash that is over. After a second abandoned attempt in a row the
 * retry waits its backoff, because the attempt itself may be the cause.
 */
export function decideAbandoned(
  retries: number,
  inARow: boolean,
  policy: RetryPolicy,
  random: () => number = Math.random,
): Decision {
  if (inARow || retries >= policy.retriesMax) return retry(retries, policy, null, random)
  return { then: 'retry', delayMs: 0 }
}

function retry(
  retries: number,
  policy: RetryPolicy,
  retryAfterMs: number | null,
  random: () => number,
): Decision {
  if (retries >= policy.retriesMax) return { then: 'dead_letter' }
  return { then: 'retry', delayMs: backoff(policy, retries, retryAfterMs, random) }
}
