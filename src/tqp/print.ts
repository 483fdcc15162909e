/** What a terminal would obey, or what disguises a line: ids and reasons come from outside. */
const unprintable = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu

/** The text on one line, with what does not belong on a terminal written out. */
export function printable(text: string): string {
  return text.replace(unprintable, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`)
}

/** Prints lines of words; each stays one line. */
export function printLines(lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${printable(line)}\n`).join(''))
}

/** Prints one JSON document. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`)
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

/** A time of the API to the millisecond, and a space where nothing is to be shown. */
export function shortTime(time: string): string
export function shortTime(time: string | null): string | null
export function shortTime(time: string | null): string | null {
  return time === null ? null : time.replace(/(\.\d{3})\d+Z$/, '$1Z')
}

/**
 * A command line of words and flags, as a shell reads it again. A value that looks like a flag is tied to its own, and words that do stand
 * behind `--`.
 */
export function commandLine(
  words: readonly string[],
  flags: Readonly<Record<string, string | boolean | undefined>>,
  ids: readonly string[] = [],
): string {
  const parts = words.map(quote)
  const given = Object.entries(flags).flatMap(([name, value]) => {
    if (typeof value !== 'string') return value === true ? [`--${name}`] : []
    return value.startsWith('-') || value === ''
      ? [`--${name}=${quote(value)}`]
      : [`--${name} ${quote(value)}`]
  })
  const isTied = ids.some((id) => id.startsWith('-'))
  return (
    isTied ? [...parts, ...given, '--', ...ids.map(quote)] : [...parts, ...ids.map(quote), ...given]
  ).join(' ')
}

/** A word as a shell reads it again. */
export function quote(word: string): string {
  return /^[\w./:@=+-]+$/.test(word) ? word : `'${printable(word).replaceAll("'", String.raw`'\''`)}'`
}

/** A number with its thousands apart. */
export function group(count: string | number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',')
}
