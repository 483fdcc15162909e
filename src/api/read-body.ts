import type { IncomingMessage } from 'node:http'
import { refusal, type Answer } from './route.ts'

const bodyBytesMax = 64 * 1024

/**
 * Reads a body that should be a JSON object; no body reads as an empty one. Answers a refusal where it is too large, not
 * UTF-8, or not such an object.
 */
export async function readBody(
  request: IncomingMessage,
): Promise<{ fields: Readonly<Record<string, unknown>> } | { refused: Answer }> {
  const body = await collect(request)
  if (body === null) {
    // The rest is read and dropped, within the server's time for a request: whoever still sends would not see an answer on
    // a connection that was cut.
    request.resume()
    return { refused: refusal(413, `The body must not exceed ${bodyBytesMax} bytes.`) }
  }
  if (body.length === 0) return { fields: {} }
  const value = parse(body)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { refused: refusal(400, 'The body must be a JSON object, or empty.') }
  }
  return { fields: value as Record<string, unknown> }
}

/** The bytes, or null if there are more than may be. */
async function collect(request: IncomingMessage): Promise<Buffer | null> {
  if (Number(request.headers['content-length'] ?? 0) > bodyBytesMax) return null
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    bytes += (chunk as Buffer).length
    if (bytes > bodyBytesMax) return null
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks)
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body))
  } catch {
    return undefined
  }
}
