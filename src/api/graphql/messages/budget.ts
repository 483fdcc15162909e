/** How many bytes of records one answer may still hold. What was asked first is served whatever its size. */
export class Budget {
  #left: number
  #isUntouched = true

  constructor(bytesMax: number) {
    this.#left = bytesMax
  }

  get left(): number {
    return Math.max(0, this.#left)
  }

  /** Whether nothing was taken of it yet. Asked once: whoever asked takes what follows. */
  claimFirst(): boolean {
    const isFirst = this.#isUntouched
    this.#isUntouched = false
    return isFirst
  }

  take(bytes: number): void {
    this.#left -= bytes
  }
}
