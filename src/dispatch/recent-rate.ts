// Long enough that a pause of the process or of a commit hardly counts, short enough that a processor that turned slow is noticed.
const windowMs = 500

/** How often something happens at present: counted over the last half second, in two windows of which the older one fades out. */
export class RecentRate {
  #begunAt = performance.now()
  #current = 0
  #previous = 0

  note(): void {
    this.#turn()
    this.#current += 1
  }

  /** How many times it will happen within `ms`, if it goes on as in the last half second. */
  within(ms: number): number {
    const elapsedMs = this.#turn()
    return (this.#current + this.#previous * (1 - elapsedMs / windowMs)) * (ms / windowMs)
  }

  /** Begins a new window when the current one has ended. Returns how old the current one is. */
  #turn(): number {
    const now = performance.now()
    const elapsedMs = now - this.#begunAt
    if (elapsedMs < windowMs) return elapsedMs
    const isNext = elapsedMs < 2 * windowMs
    this.#previous = isNext ? this.#current : 0
    this.#current = 0
    this.#begunAt = isNext ? this.#begunAt + windowMs : now
    return now - this.#begunAt
  }
}
