/** The longest delay that a setting, a timer or an integer column of ours can hold: 2³¹ − 1 ms, 24.8 days. */
const delayMaxMs = 2 ** 31 - 1

/** The three forms of a date that RFC 9110 §5.6.7 makes a recipient accept; Date.parse alone takes almost anything. */
const httpDates = [
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/,
  /^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, \d\d-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\d GMT$/,
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}$/,
]

/**
 * The delay that an answer asks for with Retry-After (RFC 9110 §10.2.3), in milliseconds from 0 to 2³¹ − 1, or null if it
 * asks for none or in no known form. A date counts from the answer's own Date, because what the processor means is a
 * span, and its clock need not be ours.
 *
 * @param headers names and values in turn, as undici hands them over
 */
export function retryAfter(headers: readonly Buffer[], nowMs: number = Date.now()): number | null {
  const value = header(headers, 'retry-after')
  if (value === null) return null
  if (/^\d+$/.test(value)) return Math.min(delayMaxMs, Number(value) * 1000)
  const at = httpDate(value)
  if (at === null) return null
  const from = httpDate(header(headers, 'date') ?? '') ?? nowMs
  return Math.min(delayMaxMs, Math.max(0, at - from))
}

function header(headers: readonly Buffer[], name: string): string | null {
  for (let at = 0; at + 1 < headers.length; at += 2) {
    if (headers[at]?.toString('latin1').toLowerCase() === name)
      return headers[at + 1]?.toString('latin1').trim() ?? null
  }
  return null
}

function httpDate(value: string): number | null {
  if (!httpDates.some((form) => form.test(value))) return null
  // The third form names no zone and means UTC; Date.parse would take it for local time.
  const at = Date.parse(value.endsWith('GMT') ? value : `${value} GMT`)
  return Number.isNaN(at) ? null : at
}
