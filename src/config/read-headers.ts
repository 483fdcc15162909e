import { validateHeaderName, validateHeaderValue } from 'node:http'
import { framingHeaders, reservedHeaders } from '../message/reserved-headers.ts'
import type { Settings } from './settings.ts'

/**
 * DOWNSTREAM_HEADERS: a JSON object of strings. Its values are often credentials, so no error sentence
 * repeats one. Headers that this service sets itself are none of the operator's.
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
  if (reservedHeaders.has(lower) || framingHeaders.has(lower))
    return `${name} is set by the service and cannot be replaced.`
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
