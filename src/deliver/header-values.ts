/** The headers of an answer that this client always reads, in lower case. */
const ownNames = ['content-length', 'date', 'keep-alive', 'retry-after'] as const
type Name = (typeof ownNames)[number]

/** What is known of an answer's headers; null for one that did not come. */
export type AnswerHeaders = { get(name: Name): string | null }

/**
 * The values of the few headers that matter. The parser hands out names and values in pieces, cut wherever
 * the network cut them. Names are compared byte by byte as they come, so that no text is made of the many
 * headers that nobody reads.
 *
 * A header that comes twice has its first value. None of the four may come twice (RFC 9110 §5.3).
 *
 * A name is of letters, digits, hyphens and underscores.
 */
export class HeaderValues implements AnswerHeaders {
  readonly #names: readonly string[]
  readonly #everyName: number
  readonly #values = new Map<string, string>()
  /** A bit for each name that the bytes so far may still become. */
  #candidates: number
  /** How many bytes of the name have come. */
  #nameLength = 0
  #isInValue = false
  #current: string | null = null

  /** @param more another header to read, in lower case */
  constructor(more: string | null = null) {
    this.#names = more === null ? ownNames : [...new Set([...ownNames, more])]
    this.#everyName = (1 << this.#names.length) - 1
    this.#candidates = this.#everyName
  }

  get(name: string): string | null {
    return this.#values.get(name) ?? null
  }

  clear(): void {
    if (this.#values.size > 0) this.#values.clear()
    this.#startName()
  }

  addToName(bytes: Uint8Array, from: number, length: number): void {
    if (this.#isInValue) this.#startName()
    for (let at = from; at < from + length && this.#candidates !== 0; at += 1) {
      // Capital letters become small ones; hyphens and digits stay what they are.
      this.#keepCandidates((bytes[at] ?? 0) | 0x20)
      this.#nameLength += 1
    }
  }

  addToValue(bytes: Buffer, from: number, length: number): void {
    if (!this.#isInValue) this.#startValue()
    if (this.#current === null) return
    const text = bytes.toString('latin1', from, from + length)
    this.#values.set(this.#current, (this.#values.get(this.#current) ?? '') + text)
  }

  #startName(): void {
    this.#isInValue = false
    this.#candidates = this.#everyName
    this.#nameLength = 0
  }

  #keepCandidates(byte: number): void {
    for (let index = 0; index < this.#names.length; index += 1) {
      // The underscore becomes another character, here as there.
      if (((this.#names[index]?.charCodeAt(this.#nameLength) ?? 0) | 0x20) !== byte)
        this.#candidates &= ~(1 << index)
    }
  }

  #startValue(): void {
    this.#isInValue = true
    this.#current = null
    if (this.#candidates === 0) return
    const name = this.#names.find(
      (each, index) => (this.#candidates & (1 << index)) !== 0 && each.length === this.#nameLength,
    )
    if (name !== undefined && !this.#values.has(name)) this.#current = name
  }
}
