import type { Outcome } from './outcome.ts'

/** The longest that a processor is left alone at once. */
export const throttleWaitMsMax = 60_000

/**
 * Reads whether an answer asks for fewer attempts: a 429 (RFC 6585), or a 503 with Retry-After (RFC 9110). Null if it does not.
 *
 * @returns `waitMs`: how long the processor wants to be left alone, in milliseconds; 0 for a 429 that names no time
 */
export function readThrottle(outcome: Outcome): { waitMs: number; reason: string } | null {
  const answer =
    outcome.kind === 'unknown' && 'answer' in outcome ? { ...outcome, ...outcome.answer } : outcome
  if (!('retryAfterMs' in answer)) return null
  const { statusCode, retryAfterMs, reason } = answer
  const waitMs = statusCode === 429 ? (retryAfterMs ?? 0) : statusCode === 503 ? retryAfterMs : null
  return waitMs === null ? null : { waitMs, reason }
}
