/**
 * One subscription as its transport reads it. Unlike a bare async generator it can be left while it waits for the next value,
 * which is what a subscription does most of the time.
 */
export class LiveStream<Value> implements AsyncIterableIterator<Value> {
  readonly #values: AsyncGenerator<Value>
  readonly #over = new AbortController()
  readonly #onOver: () => void
  #failure: Error | null = null
  #isLeft = false

  /**
   * @param run yields until its signal aborts, and then returns
   * @param onOver called once, when nothing more will be read
   */
  constructor(run: (signal: AbortSignal) => AsyncGenerator<Value>, onOver: () => void) {
    this.#values = run(this.#over.signal)
    this.#onOver = onOver
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Value>> {
    const result = await this.#values.next().catch((error: unknown) => {
      this.#leave()
      throw error
    })
    if (result.done !== true) return result
    this.#leave()
    const failure = this.#failure
    this.#failure = null
    if (failure !== null) throw failure
    return result
  }

  async return(): Promise<IteratorResult<Value>> {
    this.#leave()
    return this.#values.return(undefined)
  }

  async throw(error: unknown): Promise<IteratorResult<Value>> {
    this.#leave()
    return this.#values.throw(error)
  }

  /** Ends the subscription from this side; who reads it is told the error. */
  end(failure: Error): void {
    this.#failure = failure
    this.#over.abort()
  }

  #leave(): void {
    if (this.#isLeft) return
    this.#isLeft = true
    this.#over.abort()
    this.#onOver()
  }
}
