import { closeSync, openSync, readSync } from 'node:fs'

const blockBytes = 1 << 20
const newline = 0x0a

/** A file that was given to the checker and cannot be used. The message is a sentence for the operator. */
export class FileFault extends Error {}

/**
 * Reads a file of JSON lines, from a place in it. If the last line cannot be parsed, it is skipped: its writer may be writing
 * it, or was killed while it did.
 *
 * @param what the name of the file in the sentence of a fault
 * @param parse makes an entry of a line's value; null if the line is not of this kind
 * @param onLine gets the entry, and the byte at which its line begins
 * @returns the byte at which the last whole line ends
 */
export function readJsonLines<Entry>(
  path: string,
  what: string,
  from: number,
  parse: (value: unknown) => Entry | null,
  onLine: (entry: Entry, at: number) => void,
): number {
  let end = from
  let unreadable: number | null = null
  forEachLine(path, what, from, (line, at) => {
    if (line.length === 0) return
    if (unreadable !== null)
      throw new FileFault(`${what} ${path} has an unreadable line at byte ${unreadable}.`)
    const entry = parseLine(line, parse)
    if (entry === null) {
      unreadable = at
      return
    }
    end = at + line.length + 1
    onLine(entry, at)
  })
  return end
}

/** Reads the line that begins at this byte, as text. */
export function readLineAt(path: string, what: string, at: number): string {
  const block = Buffer.alloc(1 << 16)
  const bytes = withFile(path, what, (file) => readSync(file, block, 0, block.length, at))
  const end = block.indexOf(newline)
  return block.toString('utf8', 0, end >= 0 && end < bytes ? end : bytes)
}

function parseLine<Entry>(line: Buffer, parse: (value: unknown) => Entry | null): Entry | null {
  let value: unknown
  try {
    value = JSON.parse(line.toString('utf8'))
  } catch {
    return null
  }
  return parse(value)
}

function forEachLine(
  path: string,
  what: string,
  from: number,
  onLine: (line: Buffer, at: number) => void,
): void {
  withFile(path, what, (file) => {
    let rest = Buffer.alloc(0)
    let at = from
    while (true) {
      const block = Buffer.allocUnsafe(blockBytes)
      const bytes = readSync(file, block, 0, blockBytes, at + rest.length)
      if (bytes === 0) break
      const held =
        rest.length === 0 ? block.subarray(0, bytes) : Buffer.concat([rest, block.subarray(0, bytes)])
      let start = 0
      for (let end = held.indexOf(newline); end >= 0; end = held.indexOf(newline, start)) {
        onLine(held.subarray(start, end), at + start)
        start = end + 1
      }
      rest = held.subarray(start)
      at += start
    }
    onLine(rest, at)
  })
}

function withFile<Result>(path: string, what: string, act: (file: number) => Result): Result {
  let file: number
  try {
    file = openSync(path, 'r')
    readSync(file, Buffer.alloc(1), 0, 1, 0)
  } catch (error) {
    throw new FileFault(`${what} ${path} cannot be read: ${(error as Error).message}.`, { cause: error })
  }
  try {
    return act(file)
  } finally {
    closeSync(file)
  }
}
