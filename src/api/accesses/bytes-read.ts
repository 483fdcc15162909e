import { messagesMax } from '../../log/write/record-accesses.ts'

/** What of a record only an investigator sees. */
export type BytesKind = 'payload' | 'key' | 'headers'

/** Whose bytes answers hold. */
export class BytesRead {
  readonly #transactionIds = new Set<string>()
  readonly #kinds = new Set<BytesKind>()
  #earlier = 0
  /** Whether bytes were asked for by one who may not see them. */
  isRefused = false

  note(transactionId: string, kind: BytesKind): void {
    this.#transactionIds.add(transactionId)
    this.#kinds.add(kind)
  }

  /** Adds those of a later answer, in which the same messages count again. */
  add(later: BytesRead): void {
    const messages = this.messages + later.messages
    for (const id of later.#transactionIds) {
      if (this.#transactionIds.size >= messagesMax) break
      this.#transactionIds.add(id)
    }
    for (const kind of later.#kinds) this.#kinds.add(kind)
    this.#earlier = messages - this.#transactionIds.size
  }

  get messages(): number {
    return this.#earlier + this.#transactionIds.size
  }

  get transactionIds(): readonly string[] {
    return [...this.#transactionIds]
  }

  get kinds(): readonly BytesKind[] {
    return [...this.#kinds].sort()
  }
}
