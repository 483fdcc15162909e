import { corrupt, Output, overLimit } from './output.ts'
import type { HuffmanTable } from './zstd/huffman.ts'
import { readLiterals } from './zstd/literals.ts'
import { runSequences, startSequences } from './zstd/sequences.ts'

/**
 * Unpacks Zstandard frames (RFC 8878).
 *
 * Own code, because Node has zstd only from 22.15 on and we support 20, and fzstd cannot be bounded. fzstd
 * reveals the length of its output only by streaming, where every block, even of one byte, copies the whole
 * window that the frame asks for. And it does not notice the end of a block's bits, so that nineteen bytes
 * keep it busy for over a minute (measured).
 *
 * A frame's checksum is not checked: the record batch has one over all of it.
 *
 * @throws if the bytes are corrupt, need a dictionary, or unpack to more than `bytesMax`
 */
export function unpackZstd(packed: Buffer, bytesMax: number): Buffer {
  const output = new Output(bytesMax, 4 * packed.length)
  let at = 0
  do at = unpackFrame(packed, at, output, bytesMax)
  while (at < packed.length)
  return output.finish()
}

const frameMagic = 0xfd2fb528
const skippableMagic = 0x184d2a50
const blockBytesMax = 128 * 1024

/** @returns where the frame ends */
function unpackFrame(packed: Buffer, start: number, output: Output, bytesMax: number): number {
  const magic = readLittle(packed, start, 4)
  if ((magic & ~0xf) >>> 0 === skippableMagic) return start + 8 + readLittle(packed, start + 4, 4)
  if (magic !== frameMagic) throw corrupt()
  const { size, hasChecksum, at } = readHeader(packed, start + 4)
  if (size !== null && size > bytesMax - output.length) throw overLimit(bytesMax)
  const from = output.length
  const end = unpackBlocks(packed, at, output) + (hasChecksum ? 4 : 0)
  if (end > packed.length || (size !== null && output.length - from !== size)) throw corrupt()
  return end
}

/** The window size is ignored: the whole output is kept, up to its limit. */
function readHeader(
  packed: Buffer,
  start: number,
): { size: number | null; hasChecksum: boolean; at: number } {
  const descriptor = readLittle(packed, start, 1)
  if ((descriptor & 0x08) !== 0) throw corrupt()
  const isSingleSegment = (descriptor & 0x20) !== 0
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >>> 6] ?? 0
  const dictionaryAt = start + 1 + (isSingleSegment ? 0 : 1)
  const sizeAt = dictionaryAt + dictionaryBytes
  if (readLittle(packed, dictionaryAt, dictionaryBytes) !== 0) throw new Error('it needs a dictionary')
  return {
    size: sizeBytes === 0 ? null : readLittle(packed, sizeAt, sizeBytes) + (sizeBytes === 2 ? 256 : 0),
    hasChecksum: (descriptor & 0x04) !== 0,
    at: sizeAt + sizeBytes,
  }
}

function unpackBlocks(packed: Buffer, start: number, output: Output): number {
  output.startFrame()
  const sequences = startSequences()
  let table: HuffmanTable | null = null
  let at = start
  for (;;) {
    const header = readLittle(packed, at, 3)
    const type = (header >>> 1) & 3
    const count = header >>> 3
    const from = at + 3
    const end = from + (type === 1 ? 1 : count)
    if (type === 3 || count > blockBytesMax || end > packed.length) throw corrupt()
    if (type === 0) output.append(packed, from, count)
    else if (type === 1) output.fill(packed[from] ?? 0, count)
    else {
      const before = output.length
      const literals = readLiterals(packed, from, end, table)
      table = literals.table
      runSequences(packed, literals.at, end, literals.bytes, sequences, output)
      if (output.length - before > blockBytesMax) throw corrupt()
    }
    at = end
    if ((header & 1) !== 0) return at
  }
}

function readLittle(packed: Buffer, at: number, count: number): number {
  if (at + count > packed.length) throw corrupt()
  if (count === 0) return 0
  if (count < 8) return packed.readUIntLE(at, count)
  return packed.readUInt32LE(at) + packed.readUInt32LE(at + 4) * 2 ** 32
}
