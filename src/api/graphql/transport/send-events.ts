import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { ExecutionResult } from 'graphql'
import type { SharedResult } from './subscribe.ts'

const keepAliveMs = 12_000
// A connection that has taken nothing for so long is dead, or its reader is.
const stalledMsMax = 30_000

/** What goes over the connection for an answer, made once for all who get it. */
const encoded = new WeakMap<object, Buffer>()

/**
 * Server-sent events, as the graphql-sse protocol has them in its distinct connections mode. Writes no faster than the
 * connection takes it, so that what a slow reader leaves waits in its own outlet, which is bounded; resolves when the stream is over, however
 * that came.
 */
export async function sendEvents(
  results: AsyncIterable<ExecutionResult>,
  response: ServerResponse,
): Promise<void> {
  const iterator = results[Symbol.asyncIterator]()
  const leave = () => void iterator.return?.()
  // It may have closed while the operation was checked.
  if (response.closed) {
    leave()
    return
  }
  response.once('close', leave)
  response.writeHead(200, {
    'Content-Type': 'text/event-stream',
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    // nginx would otherwise hold events back until its buffer is full.
    'X-Accel-Buffering': 'no',
  })
  // Some browsers do not resolve a fetch before the first bytes of its body.
  response.write(':\n\n')
  const silence = keepAlive(response)
  try {
    for (;;) {
      const next = await iterator.next()
      if (next.done === true || response.destroyed) break
      if (!response.write(encode(next.value))) await drained(response)
    }
    response.end('event: complete\ndata:\n\n')
  } finally {
    silence()
  }
}

function encode(result: ExecutionResult & Partial<SharedResult>): Buffer {
  let bytes = encoded.get(result)
  if (bytes === undefined) {
    bytes = Buffer.from(`event: next\ndata: ${result.stringify?.() ?? JSON.stringify(result)}\n\n`)
    encoded.set(result, bytes)
  }
  return bytes
}

async function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed) return
  const over = new AbortController()
  const end = () => over.abort()
  response.once('close', end)
  await once(response, 'drain', { signal: over.signal }).catch(() => undefined)
  response.removeListener('close', end)
}

/** A comment from time to time, and an end to a connection that takes nothing. Answers how to stop that. */
function keepAlive(response: ServerResponse): () => void {
  let freeAt = performance.now()
  response.on('drain', () => (freeAt = performance.now()))
  const timer = setInterval(() => {
    if (!response.writableNeedDrain) {
      freeAt = performance.now()
      response.write(':\n\n')
    } else if (performance.now() - freeAt > stalledMsMax) response.destroy()
  }, keepAliveMs)
  return () => clearInterval(timer)
}
