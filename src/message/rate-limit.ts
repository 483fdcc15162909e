/** How many attempts a second all instances together may start, and how many at once. */
export type RateLimit = {
  readonly perSecond: number
  /** Null: a fifth of a second's, 2 at least. */
  readonly burst: number | null
}

// One attempt in a hundred seconds.
export const rateLimitMin = 0.01
export const rateLimitMax = 1_000_000

/** Whether it is one that the log takes. */
export function isRateLimit({ perSecond, burst }: RateLimit): boolean {
  const isRate = perSecond >= rateLimitMin && perSecond <= rateLimitMax
  return isRate && (burst === null || (Number.isInteger(burst) && burst >= 1 && burst <= rateLimitMax))
}
