import type { Entry } from './read-journal.ts'

const columns = [
  'at',
  'by',
  'actor',
  'decision',
  'transactionId',
  'destination',
  'reason',
  'evidence',
] as const satisfies readonly (keyof Entry)[]

/** RFC 4180. A spreadsheet takes what begins with one of =+-@ for a formula, so that gets a quote before it. */
export function writeCsv(entries: readonly Entry[]): string {
  const cell = (value: string | null): string => {
    const text = /^[=+\-@\t\r]/.test(value ?? '') ? `'${value ?? ''}` : (value ?? '')
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  }
  const lines = entries.map((entry) => columns.map((column) => cell(entry[column])).join(','))
  return [columns.join(','), ...lines, ''].join('\r\n')
}

/** One JSON object a line. */
export function writeJsonLines(entries: readonly Entry[]): string {
  return entries.map((entry) => `${JSON.stringify(entry)}\n`).join('')
}

/** Hands a text to the browser as a file. */
export function download(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }))
  const anchor = document.createElement('a')
  anchor.href = url
  anchor.download = name
  anchor.click()
  // The browser has begun to read it by the next turn.
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
