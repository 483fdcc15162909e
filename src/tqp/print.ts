import { printable, printableJson } from '../runtime/printable.ts'
import { quote } from '../runtime/shell-words.ts'

/** Prints lines of words; each stays one line. */
export function printLines(lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${printable(line)}\n`).join(''))
}

/** Prints one JSON document. */
export function printJson(value: unknown): void {
  process.stdout.write(`${printableJson(value, 2)}\n`)
}

/**
 * Prints rows under headings, each column as wide as its widest cell. Numbers stand to the right.
 *
 * @param columns by heading; a cell that is null is empty
 */
export function printTable<Row>(
  columns: Readonly<Record<string, (row: Row) => string | number | null>>,
  rows: readonly Row[],
): void {
  const cells = Object.entries(columns).map(([heading, read]) => {
    const values = rows.map(read)
    const texts = [heading, ...values.map((value) => printable(String(value ?? '')))]
    const width = Math.max(...texts.map(({ length }) => length))
    const isNumeric = values.some((value) => typeof value === 'number')
    return texts.map((text) => (isNumeric ? text.padStart(width) : text.padEnd(width)))
  })
  const lines = [-1, ...rows.keys()].map((row) =>
    cells
      .map((column) => column[row + 1])
      .join('  ')
      .trimEnd(),
  )
  process.stdout.write(lines.map((line) => `${line}\n`).join(''))
}

/** Where a page of the API ends. */
export type PageInfo = { readonly hasNextPage: boolean; readonly endCursor: string | null }

/** Prints how the next page is asked for, if there is one. */
export function printNextPage({ hasNextPage, endCursor }: PageInfo): void {
  if (hasNextPage && endCursor !== null) process.stdout.write(`next page: --after ${quote(endCursor)}\n`)
}

/** Ends a dry run: prints the command that would do it. */
export function printCommand(command: string): void {
  process.stdout.write(`Nothing was changed. This does it:\n  ${command}\n`)
}

/** A time of the API to the millisecond, and a space where nothing is to be shown. */
export function shortTime(time: string): string
export function shortTime(time: string | null): string | null
export function shortTime(time: string | null): string | null {
  return time === null ? null : time.replace(/(\.\d{3})\d+Z$/, '$1Z')
}

/** A number with its thousands apart. */
export function group(count: string | number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',')
}
