/** Offsets of one partition, [first, next). */
export type Span = { readonly first: number; readonly next: number }

/** Spans in the order of their offsets, asked in that order too. */
export class Spans {
  readonly all: readonly Span[]
  #at = 0

  constructor(all: readonly Span[] = []) {
    this.all = all
  }

  /** How many offsets of [first, next) lie in them. Each call must begin where the one before did, or later. */
  count(first: number, next: number): number {
    let count = 0
    while ((this.all[this.#at]?.next ?? Infinity) <= first) this.#at++
    for (let at = this.#at; (this.all[at]?.first ?? Infinity) < next; at++) {
      const span = this.all[at]
      if (span !== undefined) count += Math.max(0, Math.min(next, span.next) - Math.max(first, span.first))
    }
    return count
  }
}
