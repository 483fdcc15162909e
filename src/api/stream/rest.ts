/** A wait that anyone may end. It is level-triggered: an end that comes before the wait, or between two, is kept for the next. */
export class Rest {
  #isOver = false
  #end: (() => void) | null = null

  /** Forgets an end that was kept. */
  begin(): void {
    this.#isOver = false
  }

  get isOver(): boolean {
    return this.#isOver
  }

  end(): void {
    this.#isOver = true
    this.#end?.()
  }

  /** Resolves when it is ended, the signal aborts, or `msMax` have passed; null is for ever. */
  async over(msMax: number | null, signal: AbortSignal): Promise<void> {
    if (this.#isOver || signal.aborted) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#end = resolve
      signal.addEventListener('abort', this.#end)
      if (msMax !== null) timer = setTimeout(resolve, msMax)
    })
    clearTimeout(timer)
    if (this.#end !== null) signal.removeEventListener('abort', this.#end)
    this.#end = null
  }
}
