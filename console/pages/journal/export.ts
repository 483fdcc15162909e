import { describe, nameSubject, type Entry } from './read-journal.ts'

const columns = ['at', 'by', 'actor', 'decision', 'kind', 'about', 'reason', 'evidence'] as const

/** RFC 4180. A spreadsheet takes what begins with one of =+-@, narrow or wide, for a formula, so that gets a quote before it. */
export function writeCsv(entries: readonly Entry[]): string {
  const cell = (value: string | null): string => {
    const text = /^[=+\-@＝＋－＠\t\r]/.test(value ?? '') ? `'${value ?? ''}` : (value ?? '')
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  }
  const lines = entries.map((entry) => {
    const line = toLine(entry)
    return columns.map((column) => cell(line[column])).join(',')
  })
  return [columns.join(','), ...lines, ''].join('\r\n')
}

/** One JSON object a line. */
export function writeJsonLines(entries: readonly Entry[]): string {
  return entries.map((entry) => `${JSON.stringify(toLine(entry))}\n`).join('')
}

function toLine(entry: Entry): Record<(typeof columns)[number], string | null> {
  return {
    at: entry.at,
    by: entry.by.toLowerCase(),
    actor: entry.actor,
    decision: describe(entry),
    kind: entry.kind.toLowerCase(),
    about: nameSubject(entry),
    reason: entry.reason,
    evidence: entry.evidence,
  }
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
