import { validateHeaderName, validateHeaderValue } from 'node:http'

/** What is always ours: a setting that could replace it would make one payment two, or two one. */
const oursAlways = new Set(['idempotency-key', 'x-attempt'])

/** What describes the connection and the body's framing; undici writes these, and refuses them from us. */
const framing = new Set([
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
 * The headers that every request carries, as the flat array of names and values that undici takes without a copy: the
 * content type, the credentials of the URL, and what the operator adds, which may replace both.
 *
 * Throws a sentence that names the header and never its value, because values are often secrets.
 */
export function fixedHeaders(url: URL, added: Readonly<Record<string, string>>): readonly string[] {
  const headers = new Map([['content-type', ['Content-Type', 'application/json']]])
  const credentials = basicCredentials(url)
  if (credentials !== null) headers.set('authorization', ['Authorization', credentials])
  for (const [name, value] of Object.entries(added)) {
    const key = name.toLowerCase()
    if (oursAlways.has(key)) continue
    assertLegal(name, value)
    headers.set(key, [name, value])
  }
  return [...headers.values()].flat()
}

/**
 * The format of W3C Trace Context §3.2, whose version 00 is the only one there is: what a record carries under that name
 * may be anything, and an illegal header value would keep the whole request from being sent.
 */
export function isTraceparent(value: string): boolean {
  return /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/.test(value)
}

function assertLegal(name: string, value: string): void {
  if (framing.has(name.toLowerCase())) {
    throw new Error(`the header ${name} describes the connection or the body's framing and cannot be set`)
  }
  try {
    validateHeaderName(name)
    validateHeaderValue(name, value)
  } catch {
    throw new Error(`the header ${JSON.stringify(name)} has an illegal name or value`)
  }
}

/** RFC 7617, in UTF-8: an URL's user and password, decoded from their percent signs. */
function basicCredentials(url: URL): string | null {
  if (url.username === '' && url.password === '') return null
  try {
    const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
    return `Basic ${Buffer.from(pair).toString('base64')}`
  } catch {
    throw new Error('the user or the password in the URL is not valid percent-encoded UTF-8')
  }
}
