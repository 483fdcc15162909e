import type { EndReason } from './subscription-ended.ts'

type TooMany = Extract<EndReason, { kind: 'too_many' }>

/** Counts what is open by who opened it: a token's name, or without tokens an address. */
export class Admission {
  readonly #open = new Map<string, number>()
  readonly #perClientMax: number
  readonly #max: number
  #total = 0

  constructor(perClientMax: number, max: number) {
    this.#perClientMax = perClientMax
    this.#max = max
  }

  /** Counts one more, or says why there are too many already. */
  enter(client: string): TooMany | null {
    const open = this.#open.get(client) ?? 0
    if (open >= this.#perClientMax) return { kind: 'too_many', of: 'client', max: this.#perClientMax }
    if (this.#total >= this.#max) return { kind: 'too_many', of: 'instance', max: this.#max }
    this.#open.set(client, open + 1)
    this.#total += 1
    return null
  }

  leave(client: string): void {
    const open = this.#open.get(client) ?? 0
    if (open > 1) this.#open.set(client, open - 1)
    else this.#open.delete(client)
    this.#total -= 1
  }
}
