/**
 * Passes a hint from who notices something to whoever wants to hear of it now. Nothing is kept: who comes later looks first.
 */
export class Hint {
  readonly #listeners = new Set<() => void>()

  give(): void {
    for (const listener of this.#listeners) listener()
  }

  /** Calls back at every hint, which must be cheap, until the function that it answers is called. */
  on(listener: () => void): () => void {
    // A function of its own for each caller, so that one who listens twice is two.
    const own = () => listener()
    this.#listeners.add(own)
    return () => this.#listeners.delete(own)
  }
}
