import { doubled } from './doubled.ts'

const flags = { effect: 1, effects: 2, otherBytes: 4, laterEffect: 8, found: 16 } as const

/** What the ledger has about one identity. */
export type Requests = {
  /** When each request came in, in microseconds since 1970, the earliest first. */
  readonly times: readonly number[]
  readonly hasEffect: boolean
  readonly hasEffects: boolean
  /** An effect was read after the snapshot of the log was taken. */
  readonly hasLaterEffect: boolean
  readonly hasOtherBytes: boolean
  /** The byte of the ledger at which the line of its first request begins. */
  readonly line: number
}

/**
 * The requests of a ledger by identity, in typed arrays: 37 bytes an identity and 12 bytes a request, up to twice that because
 * arrays double when they grow. It tells identities apart by 96 bits of their digest, and bodies by 64 bits of their hash.
 * Entries count from 1.
 */
export class RequestTable {
  identities = 0
  requests = 0
  /** Open addressing with linear probing, at most half full. */
  #slots = new Int32Array(4096)
  #digests = new Uint32Array(3 * 1024)
  #hashes = new Uint32Array(2 * 1024)
  #lines = new Float64Array(1024)
  #flags = new Uint8Array(1024)
  #latest = new Int32Array(1024)
  #times = new Float64Array(1024)
  #before = new Int32Array(1024)

  add(digest: Buffer, sha256: string, at: number, isEffect: boolean, line: number): void {
    const entry = this.find(digest) ?? this.#insert(digest)
    const high = parseInt(sha256.slice(0, 8), 16)
    const low = parseInt(sha256.slice(8, 16), 16)
    if (this.#latest[entry] === 0) {
      this.#hashes[2 * entry] = high
      this.#hashes[2 * entry + 1] = low
      this.#lines[entry] = line
    } else if (this.#hashes[2 * entry] !== high || this.#hashes[2 * entry + 1] !== low) {
      this.#flag(entry, flags.otherBytes)
    }
    if (isEffect) this.#flag(entry, this.#has(entry, flags.effect) ? flags.effects : flags.effect)
    const request = ++this.requests
    if (request === this.#times.length) {
      this.#times = doubled(this.#times)
      this.#before = doubled(this.#before)
    }
    this.#times[request] = at
    this.#before[request] = this.#latest[entry] ?? 0
    this.#latest[entry] = request
  }

  addLaterEffect(digest: Buffer): void {
    this.#flag(this.find(digest) ?? this.#insert(digest), flags.laterEffect)
  }

  /** Returns what the ledger has about an identity; null if it has nothing. */
  find(digest: Buffer): number | null {
    const entry =
      this.#slots[this.#slotOf(digest.readUInt32BE(0), digest.readUInt32BE(4), digest.readUInt32BE(8))]
    return entry === undefined || entry === 0 ? null : entry
  }

  markFound(entry: number): void {
    this.#flag(entry, flags.found)
  }

  hasBytes(entry: number, sha256: string): boolean {
    return (
      this.#hashes[2 * entry] === parseInt(sha256.slice(0, 8), 16) &&
      this.#hashes[2 * entry + 1] === parseInt(sha256.slice(8, 16), 16)
    )
  }

  read(entry: number): Requests {
    const times: number[] = []
    for (let request = this.#latest[entry] ?? 0; request !== 0; request = this.#before[request] ?? 0)
      times.push(this.#times[request] ?? 0)
    return {
      times: times.sort((one, other) => one - other),
      hasEffect: this.#has(entry, flags.effect),
      hasEffects: this.#has(entry, flags.effects),
      hasLaterEffect: this.#has(entry, flags.laterEffect),
      hasOtherBytes: this.#has(entry, flags.otherBytes),
      line: this.#lines[entry] ?? 0,
    }
  }

  /** Yields the entries that have requests and were not marked as found. */
  *strays(): Generator<number> {
    for (let entry = 1; entry <= this.identities; entry++)
      if (this.#latest[entry] !== 0 && !this.#has(entry, flags.found)) yield entry
  }

  #insert(digest: Buffer): number {
    const entry = ++this.identities
    if (2 * entry > this.#slots.length) this.#grow()
    if (entry === this.#flags.length) {
      this.#digests = doubled(this.#digests)
      this.#hashes = doubled(this.#hashes)
      this.#lines = doubled(this.#lines)
      this.#flags = doubled(this.#flags)
      this.#latest = doubled(this.#latest)
    }
    const [a, b, c] = [digest.readUInt32BE(0), digest.readUInt32BE(4), digest.readUInt32BE(8)]
    this.#digests[3 * entry] = a
    this.#digests[3 * entry + 1] = b
    this.#digests[3 * entry + 2] = c
    this.#slots[this.#slotOf(a, b, c)] = entry
    return entry
  }

  #grow(): void {
    this.#slots = new Int32Array(this.#slots.length * 2)
    for (let entry = 1; entry < this.identities; entry++) {
      const at = 3 * entry
      const slot = this.#slotOf(
        this.#digests[at] ?? 0,
        this.#digests[at + 1] ?? 0,
        this.#digests[at + 2] ?? 0,
      )
      this.#slots[slot] = entry
    }
  }

  /** Returns the slot of the digest, or the empty slot where it belongs. */
  #slotOf(a: number, b: number, c: number): number {
    const mask = this.#slots.length - 1
    for (let slot = a & mask; ; slot = (slot + 1) & mask) {
      const at = 3 * (this.#slots[slot] ?? 0)
      if (at === 0) return slot
      if (this.#digests[at] === a && this.#digests[at + 1] === b && this.#digests[at + 2] === c) return slot
    }
  }

  #has(entry: number, flag: number): boolean {
    return ((this.#flags[entry] ?? 0) & flag) !== 0
  }

  #flag(entry: number, flag: number): void {
    this.#flags[entry] = (this.#flags[entry] ?? 0) | flag
  }
}
