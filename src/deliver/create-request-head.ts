import { readTraceHeaders } from './read-trace-headers.ts'

/** What one attempt sends: the bytes as received, and the values of its headers. */
export type Delivery = {
  body: Buffer
  idempotencyKey: string
  attempt: number
  traceparent: string | null
  tracestate?: string | null
}

/** Our keys are letters and digits. Whatever else comes must not end the line, and so add a header. */
const legalKey = /^[\x20-\x7e]+$/

/**
 * The head of every request to one URL (RFC 9112 §3), as text whose characters are one byte each (latin1).
 * What is the same in all of them is put together once.
 *
 * @param fixed names and values alternate; they are legal
 * @returns `host` is the Host header among them, null if there is none and the URL's host is used; `headOf`
 *   answers null for a key that cannot be sent
 */
export function createRequestHead(
  url: URL,
  fixed: readonly string[],
): { host: string | null; headOf: (delivery: Delivery) => string | null } {
  let host: string | null = null
  let lines = ''
  for (let at = 0; at + 1 < fixed.length; at += 2) {
    if (fixed[at]?.toLowerCase() === 'host') host = fixed[at + 1] ?? null
    else lines += `${fixed[at]}: ${fixed[at + 1]}\r\n`
  }
  const start = `POST ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${host ?? url.host}\r\nconnection: keep-alive\r\n${lines}Idempotency-Key: `

  const headOf = (delivery: Delivery): string | null => {
    const { body, idempotencyKey, attempt } = delivery
    if (!legalKey.test(idempotencyKey)) return null
    const trace = delivery.traceparent === null ? '' : linesOf(readTraceHeaders(delivery))
    return `${start}${idempotencyKey}\r\nX-Attempt: ${attempt}${trace}\r\ncontent-length: ${body.length}\r\n\r\n`
  }
  return { host, headOf }
}

function linesOf({ traceparent, tracestate }: { traceparent?: string; tracestate?: string }): string {
  if (traceparent === undefined) return ''
  const parent = `\r\ntraceparent: ${traceparent}`
  return tracestate === undefined ? parent : `${parent}\r\ntracestate: ${tracestate}`
}
