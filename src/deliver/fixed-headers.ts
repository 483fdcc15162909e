import { validateHeaderName, validateHeaderValue } from 'node:http'
import { framingHeaders, reservedHeaders } from '../message/reserved-headers.ts'

/**
 * The headers that every request carries: the content type, the credentials of the URL, and the operator's
 * headers, which may replace both. Names and values alternate.
 *
 * @throws an Error with a sentence that names the header but never its value, because values are often
 *   secrets
 */
export function fixedHeaders(url: URL, added: Readonly<Record<string, string>>): readonly string[] {
  const headers = new Map([['content-type', ['Content-Type', 'application/json']]])
  const credentials = basicCredentials(url)
  if (credentials !== null) headers.set('authorization', ['Authorization', credentials])
  for (const [name, value] of Object.entries(added)) {
    const key = name.toLowerCase()
    if (reservedHeaders.has(key)) continue
    assertLegal(name, value)
    headers.set(key, [name, value])
  }
  return [...headers.values()].flat()
}

function assertLegal(name: string, value: string): void {
  if (framingHeaders.has(name.toLowerCase())) {
    throw new Error(`the header ${name} describes the connection or the body's framing and cannot be set`)
  }
  try {
    validateHeaderName(name)
    validateHeaderValue(name, value)
  } catch {
    throw new Error(`the header ${JSON.stringify(name)} has an illegal name or value`)
  }
}

/** RFC 7617, in UTF-8: the user and password of the URL, percent-decoded. */
function basicCredentials(url: URL): string | null {
  if (url.username === '' && url.password === '') return null
  try {
    const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
    return `Basic ${Buffer.from(pair).toString('base64')}`
  } catch {
    throw new Error('the user or the password in the URL is not valid percent-encoded UTF-8')
  }
}
