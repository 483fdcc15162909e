import { corrupt } from '../output.ts'

/** Bits read from a stream's end to its start, as zstd's entropy coders write them (RFC 8878, 4.1 and 4.2.2). */
export class BackwardBits {
  readonly #bytes: Buffer
  readonly #start: number
  /** How many bits are left; below zero if more were read than there are, which read as zeros. */
  left: number

  /** The stream is `bytes` from `start` to `end`; its last byte's highest bit marks where the bits end. */
  constructor(bytes: Buffer, start: number, end: number) {
    const last = start < end ? (bytes[end - 1] ?? 0) : 0
    if (last === 0) throw corrupt()
    this.#bytes = bytes
    this.#start = start
    this.left = (end - start - 1) * 8 + highestBit(last)
  }

  /** Up to 32 bits, the first of which is the number's highest. */
  read(count: number): number {
    if (count <= 24) {
      const value = this.peek(count)
      this.left -= count
      return value
    }
    const high = this.read(count - 16)
    return high * 0x10000 + this.read(16)
  }

  /** Up to 24 bits. */
  peek(count: number): number {
    const from = this.left - count
    const mask = (1 << count) - 1
    if (from < 0) return this.left <= 0 ? 0 : (this.#word(0) << -from) & mask
    return (this.#word(from >>> 3) >>> (from & 7)) & mask
  }

  /** Four bytes; what lies behind the stream is shifted or masked away. */
  #word(place: number): number {
    const bytes = this.#bytes
    const at = this.#start + place
    return (
      (bytes[at] ?? 0) |
      ((bytes[at + 1] ?? 0) << 8) |
      ((bytes[at + 2] ?? 0) << 16) |
      ((bytes[at + 3] ?? 0) << 24)
    )
  }
}

/** The place of the highest bit that is set; -1 for zero. */
export function highestBit(value: number): number {
  return 31 - Math.clz32(value)
}
