const waitMsMin = 500
const waitMsMax = 5_000

export type BackOff = {
  /** How long to wait before the next attempt, in milliseconds: twice as long each time, up to 5 s. */
  readonly next: () => number
  /** It went well: the next wait is short again. */
  readonly reset: () => void
}

/** @param firstMs the first wait, in milliseconds */
export function backOff(firstMs = waitMsMin): BackOff {
  let waitMs = firstMs
  return {
    next: () => {
      const mine = waitMs
      waitMs = Math.min(2 * waitMs, waitMsMax)
      return mine
    },
    reset: () => {
      waitMs = firstMs
    },
  }
}
