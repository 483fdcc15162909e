import { validateHeaderName, validateHeaderValue } from 'node:http'
import type { Settings } from './settings.ts'

/**
 * Headers that only this service sets: they say what a request means and how its bytes travel. Any other
 * header is the operator's choice.
 */
const reserved = new Set([
  'idempotency-key',
  'x-attempt',
  'traceparent',
  'tracestate',
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/**
 * DOWNSTREAM_HEADERS: a JSON object of strings. Its values are often credentials, so no error sentence
 * repeats one.
 */
export function readHeaders(settings: Settings): Readonly<Record<string, string>> {
  const headers = new Map<string, string>()
  for (const [name, value] of Object.entries(parseObject(settings))) {
    const problem = findProblem(name, value, [...headers.keys()])
    if (problem !== null) settings.fault(`DOWNSTREAM_HEADERS: ${problem}`)
    else headers.set(name, value as string)
  }
  return Object.fromEntries(headers)
}

function parseObject(settings: Settings): object {
  try {
    const parsed: unknown = JSON.parse(settings.text('DOWNSTREAM_HEADERS'))
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed
  } catch {
    // Reported below: the parser's own message would quote the text.
  }
  settings.fault('DOWNSTREAM_HEADERS must be a JSON object of strings, like {"X-Tenant": "a"}.')
  return {}
}

function findProblem(name: string, value: unknown, taken: readonly string[]): string | null {
  const lower = name.toLowerCase()
  if (!isValid(() => validateHeaderName(name))) return 'a name in it is not a legal header name.'
  if (reserved.has(lower)) return `${name} is set by the service and cannot be replaced.`
  if (taken.some((each) => each.toLowerCase() === lower)) return `${name} is in it twice.`
  if (typeof value !== 'string') return `the value of ${name} is not a string.`
  if (!isValid(() => validateHeaderValue(name, value)))
    return `the value of ${name} holds a character that headers must not contain.`
  return null
}

/** Whether one of Node's checks of header names and values lets it pass. */
export function isValid(check: () => void): boolean {
  try {
    check()
    return true
  } catch {
    return false
  }
}
