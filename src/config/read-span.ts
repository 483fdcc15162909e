const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** A span of time as a number with its unit (s, m, h or d), such as 90d, in milliseconds. 0 needs no unit. Null if it is none. */
export function readSpan(text: string): number | null {
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?)([smhd]?)$/.exec(text) ?? []
  if (digits === '') return null
  if (Number(digits) === 0) return 0
  const ms = Math.round(Number(digits) * (unitMs[unit] ?? NaN))
  // What rounds to 0 is not 0, which may mean something else.
  return ms > 0 ? ms : null
}
