import { corrupt } from '../output.ts'
import { BackwardBits, highestBit } from './bits.ts'
import { readFseTable } from './fse-table.ts'

/**
 * For each possible value of the next `bitsMax` bits: the symbol that they begin with, and how many bits it
 * takes.
 */
export type HuffmanTable = { bitsMax: number; symbols: Uint8Array; bits: Uint8Array }

const bitsMaxMax = 11
const weightsMax = 255

/** Reads a tree's description (RFC 8878, 4.2.1). */
export function readHuffmanTable(
  bytes: Buffer,
  start: number,
  end: number,
): { table: HuffmanTable; at: number } {
  const first = bytes[start] ?? 0
  const isPacked = first < 128
  const at = start + 1 + (isPacked ? first : (first - 126) >>> 1)
  if (at > end) throw corrupt()
  const weights = isPacked ? readPacked(bytes, start + 1, at) : readPlain(bytes, start + 1, first - 127)
  return { table: buildTable(weights), at }
}

function readPlain(bytes: Buffer, start: number, count: number): number[] {
  return Array.from({ length: count }, (_, nth) => {
    const pair = bytes[start + (nth >>> 1)] ?? 0
    return nth % 2 === 0 ? pair >>> 4 : pair & 15
  })
}

/** Two states take turns until the bits are used up; the other state's last symbol comes at the end. */
function readPacked(bytes: Buffer, start: number, end: number): number[] {
  const { table, at } = readFseTable(bytes, start, end, { accuracy: 6, symbols: bitsMaxMax + 1 })
  const bits = new BackwardBits(bytes, at, end)
  const weights: number[] = []
  let state = bits.read(table.accuracy)
  let other = bits.read(table.accuracy)
  while (weights.length < weightsMax) {
    weights.push(table.symbols[state] ?? 0)
    state = (table.bases[state] ?? 0) + bits.read(table.bits[state] ?? 0)
    if (bits.left < 0) {
      weights.push(table.symbols[other] ?? 0)
      return weights
    }
    ;[state, other] = [other, state]
  }
  throw corrupt()
}

/** The last symbol's weight is not written: it completes the sum of all weights to a power of two. */
function buildTable(written: readonly number[]): HuffmanTable {
  if (written.length > weightsMax || written.some((weight) => weight > bitsMaxMax)) throw corrupt()
  const sum = written.reduce((all, weight) => all + (weight === 0 ? 0 : 1 << (weight - 1)), 0)
  const bitsMax = highestBit(sum) + 1
  const rest = (1 << bitsMax) - sum
  if (sum === 0 || bitsMax > bitsMaxMax || (rest & (rest - 1)) !== 0) throw corrupt()
  const weights = [...written, highestBit(rest) + 1]
  const table = {
    bitsMax,
    symbols: new Uint8Array(1 << bitsMax),
    bits: new Uint8Array(1 << bitsMax),
  }
  let from = 0
  for (let weight = 1; weight <= bitsMax; weight++) {
    weights.forEach((each, symbol) => {
      if (each !== weight) return
      const end = from + (1 << (weight - 1))
      table.symbols.fill(symbol, from, end)
      table.bits.fill(bitsMax + 1 - weight, from, end)
      from = end
    })
  }
  return table
}

/** Reads literals from one stream, which must hold exactly as many. */
export function readHuffmanStream(
  table: HuffmanTable,
  bytes: Buffer,
  start: number,
  end: number,
  into: Buffer,
): void {
  const bits = new BackwardBits(bytes, start, end)
  for (let at = 0; at < into.length; at++) {
    const next = bits.peek(table.bitsMax)
    into[at] = table.symbols[next] ?? 0
    bits.left -= table.bits[next] ?? 0
  }
  if (bits.left !== 0) throw corrupt()
}
