import { corrupt, type Output } from '../output.ts'
import { BackwardBits } from './bits.ts'
import { buildFseTable, constantFseTable, readFseTable, type FseTable } from './fse-table.ts'

/** The state that a frame's sequences share from block to block. */
export type SequenceState = {
  tables: { literals: FseTable | null; distances: FseTable | null; matches: FseTable | null }
  /** The last three distances, latest first. */
  distances: [number, number, number]
}

export function startSequences(): SequenceState {
  return { tables: { literals: null, distances: null, matches: null }, distances: [1, 4, 8] }
}

/** What a code means: a base, and how many bits are added to it (RFC 8878, 3.1.1.3.2.1.1). */
type Codes = { bases: readonly number[]; bits: readonly number[] }

const literalCodes = codesOf(0, [
  ...Array<number>(16).fill(0),
  ...[1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
])
const matchCodes = codesOf(3, [
  ...Array<number>(32).fill(0),
  ...[1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
])
const distanceCodesMax = 32

function codesOf(first: number, bits: readonly number[]): Codes {
  let base = first
  const bases = bits.map((each) => {
    const at = base
    base += 1 << each
    return at
  })
  return { bases, bits }
}

/**
 * For each kind: the table to use if none is written (RFC 8878, 3.1.1.3.2.2), and the limits of a written
 * one.
 */
const kinds = {
  literals: {
    shift: 6,
    limits: { accuracy: 9, symbols: 36 },
    standard: buildFseTable(6, [
      ...[4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1],
      ...[-1, -1, -1, -1],
    ]),
  },
  distances: {
    shift: 4,
    limits: { accuracy: 8, symbols: distanceCodesMax },
    standard: buildFseTable(5, [
      ...[1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
      ...[-1, -1, -1, -1, -1],
    ]),
  },
  matches: {
    shift: 2,
    limits: { accuracy: 9, symbols: 53 },
    standard: buildFseTable(6, [
      ...[1, 4, 3, 2, 2, 2, 2, 2, 2],
      ...Array<number>(37).fill(1),
      ...[-1, -1, -1, -1, -1, -1, -1],
    ]),
  },
} as const

/**
 * Reads a block's sequences and executes them: each appends some literals and then repeats earlier bytes (RFC
 * 8878, 3.1.1.3.2 and 3.1.1.4).
 */
export function runSequences(
  packed: Buffer,
  start: number,
  end: number,
  literals: Buffer,
  state: SequenceState,
  output: Output,
): void {
  const { count, at: modesAt } = readCount(packed, start, end)
  let literalsAt = 0
  if (count > 0) {
    const { tables, at } = readTables(packed, modesAt, end, state)
    const bits = new BackwardBits(packed, at, end)
    let literalState = bits.read(tables.literals.accuracy)
    let distanceState = bits.read(tables.distances.accuracy)
    let matchState = bits.read(tables.matches.accuracy)
    for (let left = count; left > 0; left--) {
      const distanceCode = tables.distances.symbols[distanceState] ?? 0
      const distanceValue = 2 ** distanceCode + bits.read(distanceCode)
      const matchBytes = readCode(matchCodes, tables.matches.symbols[matchState] ?? 0, bits)
      const literalBytes = readCode(literalCodes, tables.literals.symbols[literalState] ?? 0, bits)
      if (left > 1) {
        literalState = nextState(tables.literals, literalState, bits)
        matchState = nextState(tables.matches, matchState, bits)
        distanceState = nextState(tables.distances, distanceState, bits)
      }
      if (bits.left < 0) throw corrupt()
      output.append(literals, literalsAt, literalBytes)
      literalsAt += literalBytes
      output.repeat(chooseDistance(state.distances, distanceValue, literalBytes === 0), matchBytes)
    }
    if (bits.left !== 0) throw corrupt()
  } else if (modesAt !== end) throw corrupt()
  output.append(literals, literalsAt, literals.length - literalsAt)
}

function readCount(packed: Buffer, start: number, end: number): { count: number; at: number } {
  const first = packed[start] ?? 0
  const bytes = first < 128 ? 1 : first < 255 ? 2 : 3
  if (start + bytes > end) throw corrupt()
  const [second = 0, third = 0] = packed.subarray(start + 1, start + bytes)
  const count =
    bytes === 1 ? first : bytes === 2 ? ((first - 128) << 8) + second : second + (third << 8) + 0x7f00
  return { count, at: start + bytes }
}

type Tables = { literals: FseTable; distances: FseTable; matches: FseTable }

function readTables(
  packed: Buffer,
  modesAt: number,
  end: number,
  state: SequenceState,
): { tables: Tables; at: number } {
  const modes = packed[modesAt] ?? 0
  let at = modesAt + 1
  if (at > end || (modes & 3) !== 0) throw corrupt()
  const read = (name: keyof Tables): FseTable => {
    const { shift, limits, standard } = kinds[name]
    const found = readTable(packed, at, end, (modes >>> shift) & 3, limits, standard, state.tables[name])
    at = found.at
    state.tables[name] = found.table
    return found.table
  }
  return {
    tables: { literals: read('literals'), distances: read('distances'), matches: read('matches') },
    at,
  }
}

function readTable(
  packed: Buffer,
  at: number,
  end: number,
  mode: number,
  limits: { accuracy: number; symbols: number },
  standard: FseTable,
  earlier: FseTable | null,
): { table: FseTable; at: number } {
  if (mode === 0) return { table: standard, at }
  if (mode === 2) return readFseTable(packed, at, end, limits)
  if (mode === 3) {
    if (earlier === null) throw corrupt()
    return { table: earlier, at }
  }
  const symbol = packed[at] ?? 0
  if (at >= end || symbol >= limits.symbols) throw corrupt()
  return { table: constantFseTable(symbol), at: at + 1 }
}

function readCode(codes: Codes, code: number, bits: BackwardBits): number {
  return (codes.bases[code] ?? 0) + bits.read(codes.bits[code] ?? 0)
}

function nextState(table: FseTable, state: number, bits: BackwardBits): number {
  return (table.bases[state] ?? 0) + bits.read(table.bits[state] ?? 0)
}

/**
 * Values up to 3 name one of the last distances, or, if no literals came before, the next one in that list.
 * The chosen distance becomes the latest.
 */
function chooseDistance(last: [number, number, number], value: number, isBare: boolean): number {
  if (value > 3) {
    last[2] = last[1]
    last[1] = last[0]
    last[0] = value - 3
    return last[0]
  }
  const nth = value - (isBare ? 0 : 1)
  const chosen = nth === 3 ? last[0] - 1 : (last[nth] ?? 0)
  if (nth > 1) last[2] = last[1]
  if (nth > 0) last[1] = last[0]
  last[0] = chosen
  return chosen
}
