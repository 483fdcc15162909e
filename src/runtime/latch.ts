/**
 * A wait that anyone may end. It is level-triggered: once open it stays open until it is closed, so that an `open` that comes
 * before the wait, or between two waits, is not lost.
 */
export class Latch {
  #isOpen = false
  #end: (() => void) | null = null

  get isOpen(): boolean {
    return this.#isOpen
  }

  open(): void {
    this.#isOpen = true
    this.#end?.()
  }

  close(): void {
    this.#isOpen = false
  }

  /**
   * Resolves once it is open, when the signal aborts, or after `msMax` milliseconds; null is for ever.
   * @throws if somebody waits already: the second waiter would take the first one's place
   */
  async opened(signal: AbortSignal, msMax: number | null = null): Promise<void> {
    if (this.#end !== null) throw new Error('a latch has one waiter at a time')
    if (this.#isOpen || signal.aborted) return
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', end)
        this.#end = null
        resolve()
      }
      const timer = msMax === null ? undefined : setTimeout(end, msMax)
      signal.addEventListener('abort', end)
      this.#end = end
    })
  }
}
