import { STATUS_CODES } from 'node:http'
import type { Outcome } from '../message/outcome.ts'
import { retryAfter } from './retry-after.ts'

/**
 * The outcome that a complete answer stands for. 2xx is accepted whatever its body says, and whatever the settings say.
 * A status that the operator took out of RETRY_STATUSES is refused, a 5xx too: that is what taking it out asks for. What
 * HTTP does not define (below 200, above 599) says nothing, so it is unknown.
 *
 * @param headers names and values in turn; read only where a retry may be asked for
 */
export function classify(
  statusCode: number,
  headers: readonly Buffer[],
  retryStatuses: (statusCode: number) => boolean,
): Outcome {
  if (statusCode < 200 || statusCode > 599) {
    return { kind: 'unknown', statusCode, reason: `HTTP ${statusCode}, which is no known answer` }
  }
  if (statusCode < 300) return { kind: 'accepted', statusCode }
  const reason = describe(statusCode)
  if (retryStatuses(statusCode)) {
    return { kind: 'unavailable', statusCode, reason, retryAfterMs: retryAfter(headers) }
  }
  return { kind: 'refused', statusCode, reason }
}

/**
 * A status in words. The phrase is the standard's own, and no part of the body is quoted: whatever an answer says may
 * echo the transaction, card number included, and a reason is kept for ever and read in logs and terminals.
 */
function describe(statusCode: number): string {
  const phrase = STATUS_CODES[statusCode]
  return phrase === undefined ? `HTTP ${statusCode}` : `HTTP ${statusCode} ${phrase}`
}
