import { refuse } from '../graphql/errors.ts'

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

  /** @throws GraphQLError where there are too many already */
  enter(client: string): void {
    const open = this.#open.get(client) ?? 0
    if (open >= this.#perClientMax)
      throw refuse('TOO_MANY_SUBSCRIPTIONS', `A client may have ${this.#perClientMax} subscriptions at once.`)
    if (this.#total >= this.#max)
      throw refuse(
        'TOO_MANY_SUBSCRIPTIONS',
        `This instance serves ${this.#max} subscriptions at once: try again later.`,
      )
    this.#open.set(client, open + 1)
    this.#total += 1
  }

  leave(client: string): void {
    const open = this.#open.get(client) ?? 0
    if (open > 1) this.#open.set(client, open - 1)
    else this.#open.delete(client)
    this.#total -= 1
  }
}
