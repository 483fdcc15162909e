import { corrupt } from '../output.ts'

/**
 * Reads bits from a stream's end to its start, as zstd's entropy coders write them (RFC 8878, 4.1 and 4.2.2).
 */
export class BackwardBits {
  readonly #bytes: Buffer
  readonly #start: number
  /** How many bits are left; below zero if more were read than there are. The missing bits read as zeros. */
  left: number

  /**
   * The stream is `bytes` from `start` to `end`. The highest bit set in its last byte marks where the bits
   * end.
   */
  constructor(bytes: Buffer, start: number, end: number) {
    const last = start < end ? (bytes[end - 1] ?? 0) : 0
    if (last === 0) throw corrupt()
    this.#bytes = bytes
    this.#start = start
    this.left = (end - start - 1) * 8 + highestBit(last)
  }

  /** Reads up to 32 bits; the first is the number's highest bit. */
  read(count: number): number {
    if (count <= 24) {
      const value = this.peek(count)
      this.left -= count
      return value
    }
    const high = this.read(count - 16)
    return high * 0x10000 + this.read(16)
  }

  /** Shows up to 24 bits without consuming them. */
  peek(count: number): number {
    const from = this.left - count
    const mask = (1 << count) - 1
    if (from < 0) return this.left <= 0 ? 0 : (this.#word(0) << -from) & mask
    return (this.#word(from >>> 3) >>> (from & 7)) & mask
  }

  /** Four bytes. Bytes after the stream's end are shifted or masked away. */
  #word(byteOffset: number): number {
    const bytes = this.#bytes
    const at = this.#start + byteOffset
    return (
      (bytes[at] ?? 0) |
      ((bytes[at + 1] ?? 0) << 8) |
      ((bytes[at + 2] ?? 0) << 16) |
      ((bytes[at + 3] ?? 0) << 24)
    )
  }
}

/** The index of the highest bit set; -1 for zero. */
export function highestBit(value: number): number {
  return 31 - Math.clz32(value)
}
