import type { AnswerHeaders } from './header-values.ts'

/**
 * The longest delay that this service's settings, timers and integer columns can hold: 2³¹ − 1 ms, 24.8 days.
 */
const delayMaxMs = 2 ** 31 - 1

/**
 * The three date formats that a recipient must accept (RFC 9110 §5.6.7). Date.parse alone accepts almost
 * anything.
 */
const httpDates = [
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/,
  /^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, \d\d-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\d GMT$/,
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}$/,
]

/**
 * The delay that an answer asks for with Retry-After (RFC 9110 §10.2.3), in milliseconds from 0 to 2³¹ − 1;
 * null if there is none, or none in a known form. A date is compared with the answer's own Date header,
 * because the processor means a duration and its clock may differ from ours.
 */
export function retryAfter(headers: AnswerHeaders, nowMs: number = Date.now()): number | null {
  const value = headers.get('retry-after')?.trim() ?? null
  if (value === null) return null
  if (/^\d+$/.test(value)) return Math.min(delayMaxMs, Number(value) * 1000)
  const at = httpDate(value)
  if (at === null) return null
  const from = httpDate(headers.get('date')?.trim() ?? '') ?? nowMs
  return Math.min(delayMaxMs, Math.max(0, at - from))
}

function httpDate(value: string): number | null {
  if (!httpDates.some((form) => form.test(value))) return null
  // The third format names no zone and means UTC; Date.parse would read it as local time.
  const at = Date.parse(value.endsWith('GMT') ? value : `${value} GMT`)
  return Number.isNaN(at) ? null : at
}
