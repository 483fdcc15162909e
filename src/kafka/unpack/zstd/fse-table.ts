import { corrupt } from '../output.ts'
import { highestBit } from './bits.ts'

/** A decoding table of finite state entropy: for each state its symbol, and how to read the next state. */
export type FseTable = {
  accuracy: number
  symbols: Uint8Array
  bits: Uint8Array
  bases: Uint16Array
}

/**
 * Reads a table's description (RFC 8878, 4.1.1).
 *
 * @returns the table, and where its description ends
 */
export function readFseTable(
  bytes: Buffer,
  start: number,
  end: number,
  limits: { accuracy: number; symbols: number },
): { table: FseTable; at: number } {
  let bit = start * 8
  const read = (count: number): number => {
    const at = bit >>> 3
    const word = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16)
    bit += count
    if (bit > end * 8) throw corrupt()
    return (word >>> ((bit - count) & 7)) & ((1 << count) - 1)
  }
  const accuracy = read(4) + 5
  if (accuracy > limits.accuracy) throw corrupt()
  const shares: number[] = []
  let remaining = 1 << accuracy
  while (remaining > 0) {
    const share = readShare(read, () => bit--, remaining)
    remaining -= Math.abs(share)
    shares.push(share)
    if (share === 0) {
      let zeros: number
      do {
        zeros = read(2)
        for (let nth = 0; nth < zeros; nth++) shares.push(0)
      } while (zeros === 3)
    }
    if (shares.length > limits.symbols) throw corrupt()
  }
  return { table: buildFseTable(accuracy, shares), at: (bit + 7) >>> 3 }
}

/**
 * Small numbers take one bit less than others. The number of bits depends on how much is left to share out.
 */
function readShare(read: (count: number) => number, unread: () => void, remaining: number): number {
  const bits = highestBit(remaining + 1) + 1
  const lowMask = (1 << (bits - 1)) - 1
  const threshold = (1 << bits) - 2 - remaining
  const value = read(bits)
  if ((value & lowMask) < threshold) {
    unread()
    return (value & lowMask) - 1
  }
  return (value > lowMask ? value - threshold : value) - 1
}

/**
 * @param shares how many states each symbol gets; -1 means one state after which a whole new state is read
 */
export function buildFseTable(accuracy: number, shares: readonly number[]): FseTable {
  const size = 1 << accuracy
  const table = {
    accuracy,
    symbols: new Uint8Array(size),
    bits: new Uint8Array(size),
    bases: new Uint16Array(size),
  }
  const next = shares.map((share) => Math.abs(share))
  let high = size
  shares.forEach((share, symbol) => {
    if (share === -1) table.symbols[--high] = symbol
  })
  const step = (size >>> 1) + (size >>> 3) + 3
  let at = 0
  shares.forEach((share, symbol) => {
    for (let nth = 0; nth < share; nth++) {
      table.symbols[at] = symbol
      do at = (at + step) & (size - 1)
      while (at >= high)
    }
  })
  for (let state = 0; state < size; state++) {
    const symbol = table.symbols[state] ?? 0
    const from = next[symbol] ?? 0
    next[symbol] = from + 1
    const bits = accuracy - highestBit(from)
    table.bits[state] = bits
    table.bases[state] = (from << bits) - size
  }
  return table
}

/** A table that gives one symbol without reading any bits. */
export function constantFseTable(symbol: number): FseTable {
  return {
    accuracy: 0,
    symbols: Uint8Array.of(symbol),
    bits: Uint8Array.of(0),
    bases: Uint16Array.of(0),
  }
}
