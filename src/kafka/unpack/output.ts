/**
 * The unpacked bytes of a batch. The buffer grows as needed, never above its limit, and refuses what no
 * correct packer writes.
 */
export class Output {
  readonly #bytesMax: number
  #bytes: Buffer
  #length = 0
  #frameStart = 0

  /** @param expected the expected number of bytes; more may come, up to `bytesMax` */
  constructor(bytesMax: number, expected: number) {
    this.#bytesMax = bytesMax
    this.#bytes = Buffer.allocUnsafe(Math.min(bytesMax, Math.max(64, expected)))
  }

  get length(): number {
    return this.#length
  }

  /** Starts a new frame: it may not repeat bytes from before it. */
  startFrame(): void {
    this.#frameStart = this.#length
  }

  /** Appends `count` bytes of `source`. */
  append(source: Buffer, from: number, count: number): void {
    if (count < 0 || from + count > source.length) throw corrupt()
    this.#reserve(count)
    const bytes = this.#bytes
    let to = this.#length
    this.#length += count
    // A call of the platform's copy costs as much as copying some twenty bytes in a loop.
    if (count > longCount) {
      source.copy(bytes, to, from, from + count)
      return
    }
    for (const end = from + count; from < end; from++) bytes[to++] = source[from] ?? 0
  }

  /**
   * Appends `count` bytes, copied from `distance` bytes back. The source may overlap the bytes that are being
   * appended.
   */
  repeat(distance: number, count: number): void {
    const start = this.#length - distance
    if (count < 0 || distance < 1 || start < this.#frameStart) throw corrupt()
    this.#reserve(count)
    const bytes = this.#bytes
    const end = this.#length + count
    if (count > longCount && distance > longCount) {
      for (let to = this.#length; to < end; to += to - start)
        bytes.copyWithin(to, start, start + Math.min(to - start, end - to))
    } else {
      for (let to = this.#length, from = start; to < end; to++, from++) bytes[to] = bytes[from] ?? 0
    }
    this.#length = end
  }

  fill(byte: number, count: number): void {
    this.#reserve(count)
    this.#bytes.fill(byte, this.#length, this.#length + count)
    this.#length += count
  }

  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  #reserve(count: number): void {
    const needed = this.#length + count
    if (needed <= this.#bytes.length) return
    if (needed > this.#bytesMax) throw overLimit(this.#bytesMax)
    const larger = Buffer.allocUnsafe(Math.min(this.#bytesMax, Math.max(needed, 2 * this.#bytes.length)))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }
}

const longCount = 24

export function overLimit(bytesMax: number): Error {
  return new Error(`it unpacks to more than ${bytesMax} bytes`)
}

export function corrupt(): Error {
  return new Error('the packed bytes are corrupt')
}
