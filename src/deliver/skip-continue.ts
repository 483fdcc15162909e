import { createRequire } from 'node:module'
import type { Client } from 'undici'

type Parser = {
  onHeadersComplete: (this: Parser, statusCode: number, upgrade: boolean, shouldKeepAlive: boolean) => number
}

const load = createRequire(import.meta.url)
const { kSocket, kParser } = load('undici/lib/core/symbols.js') as Record<'kSocket' | 'kParser', symbol>

// What undici skips like any other interim answer.
const processing = 102

const mended = new WeakSet<Parser>()

/**
 * Has undici 7.30.2 skip `100 Continue` that was not asked for, as RFC 9110 §15.2 demands of a client and as undici does with all
 * other interim answers. By itself it drops the connection at a 100, with the request sent and its answer unread. Its parser is
 * shown another interim status instead; all parsing stays llhttp's. Rests on the exact pin.
 *
 * @param client one that has just connected: its parser can be reached through its socket only
 */
export function skipContinue(client: Client): void {
  const socket = (client as unknown as Record<symbol, Record<symbol, Parser>>)[kSocket]
  const parser = Object.getPrototypeOf(socket?.[kParser]) as Parser
  if (mended.has(parser)) return
  mended.add(parser)
  const { onHeadersComplete } = parser
  parser.onHeadersComplete = function (statusCode, upgrade, shouldKeepAlive) {
    const skipped = statusCode === 100 ? processing : statusCode
    return onHeadersComplete.call(this, skipped, upgrade, shouldKeepAlive)
  }
}
