import { corrupt } from '../output.ts'
import { readHuffmanStream, readHuffmanTable, type HuffmanTable } from './huffman.ts'

export type Literals = { bytes: Buffer; at: number; table: HuffmanTable | null }

const blockBytesMax = 128 * 1024

/** Reads a block's literals (RFC 8878, 3.1.1.3.1). `earlier` is the frame's last tree. */
export function readLiterals(
  packed: Buffer,
  start: number,
  end: number,
  earlier: HuffmanTable | null,
): Literals {
  const first = packed[start] ?? 0
  const type = first & 3
  const format = (first >>> 2) & 3
  if (type < 2) {
    const headerBytes = format === 1 ? 2 : format === 3 ? 3 : 1
    const count = readLittle(packed, start, end, headerBytes) >>> (headerBytes === 1 ? 3 : 4)
    return readPlain(packed, start + headerBytes, end, type === 1, count, earlier)
  }
  const headerBytes = Math.max(3, format + 2)
  const sizeBits = [10, 10, 14, 18][format] ?? 0
  const header = Math.floor(readLittle(packed, start, end, headerBytes) / 16)
  const count = header % (1 << sizeBits)
  const from = start + headerBytes
  const to = from + Math.floor(header / (1 << sizeBits))
  if (count > blockBytesMax || to > end) throw corrupt()
  const read = type === 2 ? readHuffmanTable(packed, from, to) : { table: earlier, at: from }
  if (read.table === null) throw corrupt()
  const bytes = Buffer.allocUnsafe(count)
  if (format === 0) readHuffmanStream(read.table, packed, read.at, to, bytes)
  else readFourStreams(read.table, packed, read.at, to, bytes)
  return { bytes, at: to, table: read.table }
}

function readPlain(
  packed: Buffer,
  from: number,
  end: number,
  isRepeated: boolean,
  count: number,
  table: HuffmanTable | null,
): Literals {
  const at = from + (isRepeated ? 1 : count)
  if (count > blockBytesMax || at > end) throw corrupt()
  const bytes = isRepeated ? Buffer.alloc(count, packed[from] ?? 0) : packed.subarray(from, at)
  return { bytes, at, table }
}

/** The first three streams hold a quarter each, rounded up; the streams' lengths come first. */
function readFourStreams(
  table: HuffmanTable,
  packed: Buffer,
  start: number,
  end: number,
  into: Buffer,
): void {
  let from = start + 6
  if (from > end) throw corrupt()
  const quarter = (into.length + 3) >>> 2
  for (let nth = 0; nth < 4; nth++) {
    const to = nth === 3 ? end : from + packed.readUInt16LE(start + 2 * nth)
    if (to > end || nth * quarter > into.length) throw corrupt()
    const part = into.subarray(nth * quarter, nth === 3 ? into.length : (nth + 1) * quarter)
    readHuffmanStream(table, packed, from, to, part)
    from = to
  }
}

function readLittle(packed: Buffer, at: number, end: number, count: number): number {
  if (at + count > end) throw corrupt()
  return packed.readUIntLE(at, count)
}
