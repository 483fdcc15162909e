import type { Settings } from './settings.ts'

/** Where a crash test kills the process: when the named point is passed for the `nth` time. */
export type Failpoint = { readonly name: string; readonly nth: number }

export function readFailpoint(settings: Settings): Failpoint | null {
  const given = settings.given('FAILPOINT')
  if (given === null) return null
  const match = /^([a-z0-9_.-]+):([1-9]\d{0,8})$/.exec(given)
  if (match === null) settings.fault('FAILPOINT must be a name and a count, like before-ingest-commit:1.')
  return { name: match?.[1] ?? '', nth: Number(match?.[2] ?? 1) }
}
