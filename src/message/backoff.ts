/**
 * Delays in milliseconds. The delay doubles with each retry that was already scheduled, and never exceeds
 * `maxDelayMs`.
 */
export type BackoffPolicy = { readonly baseDelayMs: number; readonly maxDelayMs: number }

/** Spreads the retries of messages that failed together: by at most this share, earlier or later. */
const jitterShare = 0.2

/**
 * The delay before the next attempt, in whole milliseconds: min(max, base · 2ⁿ), then ±20 %, then cut to the maximum. The
 * processor's own Retry-After raises it, at most to the maximum.
 *
 * @param retries retries already scheduled since `received` or the last `replayed`: n above
 * @param random in [0, 1)
 */
export function backoff(
  policy: BackoffPolicy,
  retries: number,
  retryAfterMs: number | null,
  random: () => number = Math.random,
): number {
  const doubled = Math.min(policy.maxDelayMs, policy.baseDelayMs * 2 ** retries)
  const jittered = doubled * (1 - jitterShare + 2 * jitterShare * random())
  return Math.round(Math.min(policy.maxDelayMs, Math.max(jittered, retryAfterMs ?? 0)))
}

/**
 * The longest time from the start of the first attempt to the end of the last retry, in milliseconds, if no hold and no replay comes in
 * between.
 *
 * @param attemptMs the longest time that an attempt may take
 */
export function longestSchedule(policy: BackoffPolicy & { retriesMax: number }, attemptMs: number): number {
  let totalMs = attemptMs
  for (let retries = 0; retries < policy.retriesMax; retries += 1)
    totalMs += Math.min(policy.maxDelayMs, policy.baseDelayMs * 2 ** retries * (1 + jitterShare)) + attemptMs
  return totalMs
}
