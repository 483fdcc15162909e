import { corrupt, Output, overLimit } from './output.ts'

/**
 * Unpacks snappy as Kafka's clients write it: one raw block, or the Java client's frames (xerial): a header
 * of 16 bytes, then blocks, each after its length.
 *
 * Own code, because snappyjs, which kafkajs-snappy calls, loops for ever on a certain block of twelve bytes,
 * fills missing bytes of a block with zeros, and has no limit.
 *
 * Source: format_description.txt of google/snappy; SnappyOutputStream of xerial/snappy-java.
 *
 * @throws if the bytes are corrupt or unpack to more than `bytesMax`
 */
export function unpackSnappy(packed: Buffer, bytesMax: number): Buffer {
  if (!isHeader(packed, 0)) return unpackRaw(packed, bytesMax, bytesMax)
  const blocks: Buffer[] = []
  let room = bytesMax
  let at = 0
  while (at < packed.length) {
    // Joined streams each bring their own header.
    if (isHeader(packed, at)) {
      at += headerBytes
      continue
    }
    if (at + 4 > packed.length) throw corrupt()
    const end = at + 4 + packed.readUInt32BE(at)
    if (end > packed.length) throw corrupt()
    const block = unpackRaw(packed.subarray(at + 4, end), room, bytesMax)
    blocks.push(block)
    room -= block.length
    at = end
  }
  return Buffer.concat(blocks)
}

const header = Buffer.from('\x82SNAPPY\0', 'latin1')
const headerBytes = 16

function isHeader(packed: Buffer, at: number): boolean {
  return packed[at] === header[0] && packed.subarray(at, at + header.length).equals(header)
}

/** A raw block begins with its unpacked length. */
function unpackRaw(packed: Buffer, room: number, bytesMax: number): Buffer {
  const { length, at: start } = readLength(packed)
  if (length > room) throw overLimit(bytesMax)
  const output = new Output(room, length)
  let at = start
  while (at < packed.length) {
    const tag = packed[at++] ?? 0
    const kind = tag & 3
    const high = tag >>> 2
    if (kind === 0) {
      const lengthBytes = Math.max(0, high - 59)
      const count = (lengthBytes === 0 ? high : readLittle(packed, at, lengthBytes)) + 1
      at += lengthBytes
      output.append(packed, at, count)
      at += count
    } else if (kind === 1) {
      output.repeat(((tag >>> 5) << 8) + readLittle(packed, at, 1), (high & 7) + 4)
      at += 1
    } else {
      const distanceBytes = kind === 2 ? 2 : 4
      output.repeat(readLittle(packed, at, distanceBytes), high + 1)
      at += distanceBytes
    }
  }
  if (output.length !== length) throw corrupt()
  return output.finish()
}

function readLength(packed: Buffer): { length: number; at: number } {
  let length = 0
  for (let at = 0; at < 5; at++) {
    const byte = packed[at]
    if (byte === undefined) break
    length += (byte & 0x7f) * 2 ** (7 * at)
    if (byte < 0x80) return { length, at: at + 1 }
  }
  throw corrupt()
}

function readLittle(packed: Buffer, at: number, count: number): number {
  if (at + count > packed.length) throw corrupt()
  return packed.readUIntLE(at, count)
}
