import { doubled } from './doubled.ts'

/** Starts and ends of attempts. Each is kept as twice its position, plus one for a start, so that ends sort before starts. */
export class Moments {
  #moments = new Float64Array(64)
  #count = 0

  add(position: number, isStart: boolean): void {
    if (this.#count === this.#moments.length) this.#moments = doubled(this.#moments)
    this.#moments[this.#count++] = 2 * position + (isStart ? 1 : 0)
  }

  /** Yields the starts after which more than `limit` attempts are open. */
  *above(limit: number): Generator<{ position: number; open: number }> {
    let open = 0
    for (const moment of this.#moments.subarray(0, this.#count).sort()) {
      const isStart = moment % 2 === 1
      open += isStart ? 1 : -1
      if (isStart && open > limit) yield { position: (moment - 1) / 2, open }
    }
  }
}
