import type { ServerResponse } from 'node:http'
import type { Answer } from './route.ts'

/** Writes an answer, whole; with `isLast`, the connection ends with it. */
export function write(
  response: ServerResponse,
  { status, type, body, headers }: Answer,
  isLast: boolean,
): void {
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...(isLast ? { Connection: 'close' } : {}),
    ...headers,
  })
  // Node leaves the body out of an answer to HEAD.
  response.end(body)
}
