const chunkBits = 12
const chunkSize = 1 << chunkBits

/**
 * Keeps a number for each offset of one partition; a number that was not set is 0. It has pieces of 4,096 offsets, which are
 * made when they are first used. Each number takes `bytes` bytes: five million records at one byte take 5 MB.
 */
export class OffsetMap {
  readonly #bytes: 1 | 4
  readonly #chunks = new Map<number, Uint8Array | Int32Array>()
  #last: Uint8Array | Int32Array | undefined
  #lastIndex = -1

  constructor(bytes: 1 | 4) {
    this.#bytes = bytes
  }

  get(offset: number): number {
    return this.#chunk(Math.floor(offset / chunkSize))?.[offset % chunkSize] ?? 0
  }

  set(offset: number, value: number): void {
    const index = Math.floor(offset / chunkSize)
    let chunk = this.#chunk(index)
    if (chunk === undefined) {
      chunk = this.#bytes === 1 ? new Uint8Array(chunkSize) : new Int32Array(chunkSize)
      this.#chunks.set(index, chunk)
      this.#last = chunk
    }
    chunk[offset % chunkSize] = value
  }

  /**
   * Counts the offsets from `from` to before `next` by value: adds to `counts[value]`. Values beyond the end of `counts` are
   * left out.
   */
  count(from: number, next: number, counts: number[]): void {
    for (let at = from; at < next;) {
      const index = Math.floor(at / chunkSize)
      const end = Math.min(next, (index + 1) * chunkSize)
      const chunk = this.#chunk(index)
      if (chunk === undefined) counts[0] = (counts[0] ?? 0) + end - at
      else
        for (let each = at; each < end; each++) {
          const value = chunk[each % chunkSize] ?? 0
          counts[value] = (counts[value] ?? 0) + 1
        }
      at = end
    }
  }

  /** Yields the offsets that are set and lie outside of `from` to before `next`. */
  *outside(from: number, next: number): Generator<number> {
    for (const [index, chunk] of this.#chunks) {
      const first = index * chunkSize
      if (first >= from && first + chunkSize <= next) continue
      for (let each = first; each < first + chunkSize; each++)
        if ((each < from || each >= next) && chunk[each % chunkSize] !== 0) yield each
    }
  }

  #chunk(index: number): Uint8Array | Int32Array | undefined {
    if (index !== this.#lastIndex) {
      this.#last = this.#chunks.get(index)
      this.#lastIndex = index
    }
    return this.#last
  }
}
