import { backoff, type BackoffPolicy } from './backoff.ts'
import type { Outcome } from './outcome.ts'

export type RetryPolicy = BackoffPolicy & { readonly retriesMax: number }

/**
 * What follows an attempt: the message succeeded, is retried after a delay, or is a dead letter. A message whose retries are exhausted
 * is none if its destination turns out not to flow: then it is retried after `sparedDelayMs` (null if its
 * answer is one that is not retried).
 */
export type Decision =
  | { then: 'success' }
  | { then: 'retry'; delayMs: number }
  | { then: 'dead_letter'; sparedDelayMs: number | null }

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
      return { then: 'dead_letter', sparedDelayMs: null }
    case 'unavailable':
      return retry(retries, policy, outcome.retryAfterMs, random)
    case 'not_sent':
      return retry(retries, policy, null, random)
    case 'unknown':
      if (!('answer' in outcome)) return retry(retries, policy, null, random)
      return outcome.answer.isRetried
        ? retry(retries, policy, outcome.answer.retryAfterMs, random)
        : { then: 'dead_letter', sparedDelayMs: null }
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

/**
 * Decides what follows an attempt that waited in its lane for a request to end, and was not sent. The retry is due at once,
 * for whichever instance has room, and uses up none of the retries: a message never becomes a dead letter because it waited for
 * others.
 */
export function decideUnsent(): Decision {
  return { then: 'retry', delayMs: 0 }
}

/**
 * @param isSpared whether the attempt ended while its destination did not flow
 * @returns the milliseconds until the next attempt; null if none follows
 */
export function retryDelayOf(decision: Decision, isSpared: boolean): number | null {
  if (decision.then === 'retry') return decision.delayMs
  return decision.then === 'dead_letter' && isSpared ? decision.sparedDelayMs : null
}

function retry(
  retries: number,
  policy: RetryPolicy,
  retryAfterMs: number | null,
  random: () => number,
): Decision {
  const delayMs = backoff(policy, retries, retryAfterMs, random)
  if (retries >= policy.retriesMax) return { then: 'dead_letter', sparedDelayMs: delayMs }
  return { then: 'retry', delayMs }
}
