/**
 * Kafka's wire encoding (https://kafka.apache.org/protocol): big-endian integers, and strings and bytes after
 * their length, where −1 means null. "Flexible" versions (KIP-482) instead have varint lengths, stored plus
 * one, and tagged fields. A read past the end throws, and the connection that sent such a request is closed.
 */
export class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  int8(): number {
    return this.#bytes.readInt8(this.#skip(1))
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#skip(2))
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#skip(4))
  }

  /** Offsets and times fit into a number: no offset here comes near 2^53. */
  int64(): number {
    return Number(this.#bytes.readBigInt64BE(this.#skip(8)))
  }

  boolean(): boolean {
    return this.int8() !== 0
  }

  nullableString(): string | null {
    const length = this.int16()
    if (length < 0) return null
    const start = this.#skip(length)
    return this.#bytes.toString('utf8', start, start + length)
  }

  string(): string {
    return this.nullableString() ?? ''
  }

  /** A view of the request's own bytes, not a copy. */
  bytes(): Buffer {
    const length = Math.max(0, this.int32())
    const start = this.#skip(length)
    return this.#bytes.subarray(start, start + length)
  }

  nullableArray<T>(read: () => T): T[] | null {
    const length = this.int32()
    if (length < 0) return null
    // Every element takes at least one byte. A longer array is false, and must not cost memory.
    if (length > this.#bytes.length - this.#at)
      throw new RangeError(`an array of ${length} ends past its request`)
    return Array.from({ length }, read)
  }

  array<T>(read: () => T): T[] {
    return this.nullableArray(read) ?? []
  }

  compactString(): string {
    const length = Math.max(0, this.#varint() - 1)
    const start = this.#skip(length)
    return this.#bytes.toString('utf8', start, start + length)
  }

  compactArray<T>(read: () => T): T[] {
    const length = Math.max(0, this.#varint() - 1)
    if (length > this.#bytes.length - this.#at)
      throw new RangeError(`an array of ${length} ends past its request`)
    return Array.from({ length }, read)
  }

  /** Skips the tagged fields; none has a meaning here. */
  tags(): void {
    for (let left = this.#varint(); left > 0; left -= 1) {
      this.#varint()
      this.#skip(this.#varint())
    }
  }

  /** Unsigned, at most 32 bits. */
  #varint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.int8()
      value += (byte & 0x7f) * 2 ** shift
      if (byte >= 0) return value
    }
    throw new RangeError('a varint has more than five bytes')
  }

  #skip(length: number): number {
    const start = this.#at
    if (start + length > this.#bytes.length)
      throw new RangeError(`a field of ${length} bytes ends past its request`)
    this.#at = start + length
    return start
  }
}

/** Builds one response frame: its size, the request's correlation id, and what the handler writes. */
export class Writer {
  #bytes = Buffer.allocUnsafe(256)
  #length = 0

  constructor(correlationId: number) {
    this.int32(0).int32(correlationId)
  }

  int8(value: number): this {
    const at = this.#grow(1)
    this.#bytes.writeInt8(value, at)
    return this
  }

  int16(value: number): this {
    const at = this.#grow(2)
    this.#bytes.writeInt16BE(value, at)
    return this
  }

  int32(value: number): this {
    const at = this.#grow(4)
    this.#bytes.writeInt32BE(value, at)
    return this
  }

  int64(value: number): this {
    const at = this.#grow(8)
    this.#bytes.writeBigInt64BE(BigInt(value), at)
    return this
  }

  boolean(value: boolean): this {
    return this.int8(value ? 1 : 0)
  }

  string(value: string | null): this {
    if (value === null) return this.int16(-1)
    const length = Buffer.byteLength(value)
    this.int16(length)
    const at = this.#grow(length)
    this.#bytes.write(value, at)
    return this
  }

  bytes(value: Buffer): this {
    value.copy(this.reserve(value.length))
    return this
  }

  /**
   * Writes a length and returns that many bytes to fill, so that records are read from the file straight into
   * the frame.
   */
  reserve(length: number): Buffer {
    this.int32(length)
    const at = this.#grow(length)
    return this.#bytes.subarray(at, at + length)
  }

  array<T>(items: Iterable<T>, write: (item: T) => void): this {
    const all = [...items]
    this.int32(all.length)
    for (const item of all) write(item)
    return this
  }

  compactString(value: string): this {
    const length = Buffer.byteLength(value)
    this.#varint(length + 1)
    const at = this.#grow(length)
    this.#bytes.write(value, at)
    return this
  }

  compactArray<T>(items: Iterable<T>, write: (item: T) => void): this {
    const all = [...items]
    this.#varint(all.length + 1)
    for (const item of all) write(item)
    return this
  }

  /** Writes that there are no tagged fields. */
  tags(): this {
    return this.int8(0)
  }

  #varint(value: number): void {
    let rest = value
    for (; rest > 0x7f; rest = Math.floor(rest / 128)) this.int8(((rest & 0x7f) | 0x80) - 256)
    this.int8(rest)
  }

  /** The finished frame. */
  frame(): Buffer {
    this.#bytes.writeInt32BE(this.#length - 4, 0)
    return this.#bytes.subarray(0, this.#length)
  }

  #grow(length: number): number {
    const start = this.#length
    this.#length += length
    if (this.#length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#length + 256, this.#bytes.length * 2))
      this.#bytes.copy(larger, 0, 0, start)
      this.#bytes = larger
    }
    return start
  }
}
