/** Lets at most `max` of those who come act at once; the others wait their turn, in the order in which they came. */
export class Turns {
  readonly #max: number
  readonly #waiting: (() => void)[] = []
  #acting = 0

  constructor(max: number) {
    this.#max = max
  }

  async take<Value>(act: () => Promise<Value>): Promise<Value> {
    if (this.#acting === this.#max) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#acting += 1
    try {
      return await act()
    } finally {
      // A turn is handed on, not given back, so that nobody who comes meanwhile gets in between.
      const next = this.#waiting.shift()
      if (next === undefined) this.#acting -= 1
      else next()
    }
  }
}
