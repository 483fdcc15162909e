// PostgreSQL counts microseconds from 2000-01-01.
const epochMicros = 946_684_800_000_000
const signature = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')
const headerBytes = signature.length + 8

/**
 * Reads the columns of a row, one after the other, in the binary form of COPY.
 *
 * Source: "Binary Format" in PostgreSQL's manual page of COPY.
 */
export class RowReader {
  #buffer: Buffer = Buffer.alloc(0)
  #at = 0

  /** Takes a piece that COPY sent, which is one row. Returns false if it has no row, as at the end. */
  begin(chunk: Buffer): boolean {
    this.#buffer = chunk
    // The header comes with the first row.
    this.#at =
      chunk.length >= headerBytes && chunk.subarray(0, signature.length).equals(signature) ? headerBytes : 0
    if (chunk.length - this.#at < 2) return false
    this.#at += 2
    return chunk.readInt16BE(this.#at - 2) !== -1
  }

  /** Reads an int4 or int8; exact below 2⁵³. */
  integer(): number {
    return this.integerOrNull() ?? missing()
  }

  integerOrNull(): number | null {
    const length = this.#length()
    if (length < 0) return null
    const at = this.#at
    this.#at += length
    if (length === 4) return this.#buffer.readInt32BE(at)
    return this.#buffer.readInt32BE(at) * 0x1_0000_0000 + this.#buffer.readUInt32BE(at + 4)
  }

  /** Reads a timestamptz, as microseconds since 1970. */
  micros(): number {
    return this.microsOrNull() ?? missing()
  }

  microsOrNull(): number | null {
    const micros = this.integerOrNull()
    return micros === null ? null : micros + epochMicros
  }

  text(): string {
    return this.textOrNull() ?? missing()
  }

  textOrNull(): string | null {
    const length = this.#length()
    if (length < 0) return null
    this.#at += length
    return this.#buffer.toString('utf8', this.#at - length, this.#at)
  }

  booleanOrNull(): boolean | null {
    const length = this.#length()
    if (length < 0) return null
    this.#at += length
    return this.#buffer[this.#at - 1] === 1
  }

  /** Reads a bytea, as hexadecimal digits. */
  hexOrNull(): string | null {
    const length = this.#length()
    if (length < 0) return null
    this.#at += length
    return this.#buffer.toString('hex', this.#at - length, this.#at)
  }

  #length(): number {
    this.#at += 4
    return this.#buffer.readInt32BE(this.#at - 4)
  }
}

function missing(): never {
  throw new Error('a column that is never null is null')
}
