import { normalizeDateTime } from '../runtime/date-time.ts'
import { readSpan } from './read-span.ts'

/**
 * Reads a flag's value as a time, or as a span before now. Undefined for a flag that is not given.
 *
 * @throws an Error with one sentence
 */
export function readPastTime(name: string, text: string | undefined, now = Date.now()): string | undefined {
  if (text === undefined) return undefined
  const agoMs = readSpan(text)
  const at = agoMs === null ? normalizeDateTime(text) : toTime(now - agoMs)
  if (at !== null) return at
  throw new Error(
    `--${name} must be a time with its zone, like 2026-11-29T06:00:00Z, or a span before now, like 2h.`,
  )
}

/** Null for what is no date. */
function toTime(ms: number): string | null {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? null : normalizeDateTime(date.toISOString())
}
