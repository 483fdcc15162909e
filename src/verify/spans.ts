/** Offsets of one partition, from `first` to before `next`. */
export type Span = { readonly first: number; readonly next: number }

/** Spans in the order of their offsets. Questions come in the same order. */
export class Spans {
  readonly all: readonly Span[]
  #at = 0

  constructor(all: readonly Span[] = []) {
    this.all = all
  }

  /**
   * Counts the offsets from `first` to before `next` that lie in the spans. Each call must begin where the call before began,
   * or later.
   */
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
