import { STATUS_CODES, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { compress } from './compress.ts'
import type { Answer } from './route.ts'

/** Writes an answer, whole; with `isLast`, the connection ends with it. Never rejects. */
export async function write(response: ServerResponse, answer: Answer, isLast: boolean): Promise<void> {
  const { status, type, headers: { Vary, ...headers } = {} } = answer
  const { body, headers: encoding } = await compress(answer.body, response.req.headers['accept-encoding'])
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': body.length,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    Vary: Vary === undefined ? 'Accept-Encoding' : `${Vary}, Accept-Encoding`,
    ...(isLast ? { Connection: 'close' } : {}),
    ...headers,
    ...encoding,
  })
  // Node leaves the body out of an answer to HEAD.
  response.end(body)
}

/** Writes an answer to a bare socket, where there is no response of Node's, and ends it. */
export function writeRaw(socket: Duplex, { status, type, body }: Answer): void {
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nContent-Type: ${type}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
}
