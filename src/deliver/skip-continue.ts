import { createRequire } from 'node:module'
import type { Client } from 'undici'

type Parser = {
  onHeadersComplete: (this: Parser, statusCode: number, upgrade: boolean, shouldKeepAlive: boolean) => number
}

const load = createRequire(import.meta.url)
const { kSocket, kParser } = load('undici/lib/core/symbols.js') as Record<'kSocket' | 'kParser', symbol>

// A status that undici skips, as it skips any other interim answer.
const processing = 102

const patched = new WeakSet<Parser>()

/**
 * Makes undici 7.30.2 skip a `100 Continue` that was not asked for, as RFC 9110 §15.2 requires of a client
 * and as undici does with all other interim answers. By default undici drops the connection at a 100, with
 * the request sent and its answer unread. This function shows undici's parser another interim status instead;
 * llhttp still does all parsing. Depends on the exact pin.
 *
 * @param client a client that has just connected: its parser is reached only through its socket
 */
export function skipContinue(client: Client): void {
  const socket = (client as unknown as Record<symbol, Record<symbol, Parser>>)[kSocket]
  const parser = Object.getPrototypeOf(socket?.[kParser]) as Parser
  if (patched.has(parser)) return
  patched.add(parser)
  const { onHeadersComplete } = parser
  parser.onHeadersComplete = function (statusCode, upgrade, shouldKeepAlive) {
    const skipped = statusCode === 100 ? processing : statusCode
    return onHeadersComplete.call(this, skipped, upgrade, shouldKeepAlive)
  }
}
