/**
 * Passes a hint from the part that notices something to the parts that have subscribed. Nothing is kept: a part that subscribes later must
 * look for itself first.
 */
export class Hint {
  readonly #listeners = new Set<() => void>()

  give(): void {
    for (const listener of this.#listeners) listener()
  }

  /** Calls `listener` at every hint; the call must be cheap. Returns a function that ends this. */
  on(listener: () => void): () => void {
    // A function of its own for each caller, so that one who listens twice is two.
    const own = () => listener()
    this.#listeners.add(own)
    return () => this.#listeners.delete(own)
  }
}
