/** For what an operator is to be told once in a while, however often it happens. */
export class Seldom {
  readonly #everyMs: number
  #lastAt = -Infinity

  constructor(everyMs: number) {
    this.#everyMs = everyMs
  }

  /** Whether it is time; when it is, that begins the next wait. */
  due(): boolean {
    const now = performance.now()
    if (now - this.#lastAt < this.#everyMs) return false
    this.#lastAt = now
    return true
  }
}
