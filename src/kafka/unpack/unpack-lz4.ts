import { corrupt, Output } from './output.ts'

/**
 * Unpacks LZ4 frames, the form that Kafka's clients write.
 *
 * Own code, because lz4js has no limit, accepts a truncated frame as whole, and reads blocks with checksums
 * wrongly. The frame's checksums are not checked: the record batch has one over all of it.
 *
 * Source: lz4_Frame_format.md and lz4_Block_format.md of lz4/lz4.
 *
 * @throws if the bytes are corrupt or unpack to more than `bytesMax`
 */
export function unpackLz4(packed: Buffer, bytesMax: number): Buffer {
  const output = new Output(bytesMax, 4 * packed.length)
  let at = 0
  do at = unpackFrame(packed, at, output)
  while (at < packed.length)
  return output.finish()
}

const frameMagic = 0x184d2204
const skippableMagic = 0x184d2a50
const flags = {
  version: 0xc0,
  blockChecksum: 0x10,
  contentSize: 0x08,
  contentChecksum: 0x04,
  dictionary: 0x01,
}
const version = 0x40
const storedBit = 0x80000000

/** @returns where the frame ends */
function unpackFrame(packed: Buffer, start: number, output: Output): number {
  const magic = readUInt32(packed, start)
  if ((magic & ~0xf) >>> 0 === skippableMagic) return start + 8 + readUInt32(packed, start + 4)
  const descriptor = packed[start + 4] ?? 0
  if (magic !== frameMagic || (descriptor & flags.version) !== version) throw corrupt()
  if ((descriptor & flags.dictionary) !== 0) throw new Error('it needs a dictionary')
  output.startFrame()
  // The magic number, two bytes of description, an optional size, and the description's checksum.
  let at = start + 7 + ((descriptor & flags.contentSize) === 0 ? 0 : 8)
  for (;;) {
    const word = readUInt32(packed, at)
    at += 4
    if (word === 0) break
    const length = word % storedBit
    if (at + length > packed.length) throw corrupt()
    if (word < storedBit) unpackBlock(packed, at, at + length, output)
    else output.append(packed, at, length)
    at += length + ((descriptor & flags.blockChecksum) === 0 ? 0 : 4)
  }
  return at + ((descriptor & flags.contentChecksum) === 0 ? 0 : 4)
}

const matchBytesMin = 4

function unpackBlock(packed: Buffer, start: number, end: number, output: Output): void {
  let at = start
  /**
   * A count of fifteen in a token is continued in further bytes: all are added, up to the first that is not
   * 255.
   */
  const readCount = (nibble: number): number => {
    if (nibble < 15) return nibble
    let count = nibble
    for (;;) {
      const byte = packed[at++] ?? 0
      if (at > end) throw corrupt()
      count += byte
      if (byte !== 255) return count
    }
  }
  while (at < end) {
    const token = packed[at++] ?? 0
    const literals = readCount(token >>> 4)
    if (at + literals > end) throw corrupt()
    output.append(packed, at, literals)
    at += literals
    // The last sequence ends after its literals.
    if (at === end) return
    if (at + 2 > end) throw corrupt()
    const distance = packed.readUInt16LE(at)
    at += 2
    output.repeat(distance, readCount(token & 15) + matchBytesMin)
  }
}

function readUInt32(packed: Buffer, at: number): number {
  if (at + 4 > packed.length) throw corrupt()
  return packed.readUInt32LE(at)
}
