import { STATUS_CODES } from 'node:http'
import type { Outcome } from '../message/outcome.ts'
import type { AnswerHeaders } from './header-values.ts'
import { retryAfter } from './retry-after.ts'

/** How the settings sort statuses that are no success. */
export type AnswerStatuses = {
  /** After these the attempt is retried. */
  readonly retryStatuses: (statusCode: number) => boolean
  /** After these nobody knows whether the processor acted. */
  readonly unknownStatuses: (statusCode: number) => boolean
}

/**
 * The outcome of a complete answer. A 2xx is accepted, whatever its body and the settings say. A status that
 * the operator removed from RETRY_STATUSES is refused, even a 5xx: that is the effect of removing it. A
 * status that HTTP does not define (below 200, above 599) tells nothing, so the outcome is unknown. A status of UNKNOWN_STATUSES tells
 * that the processor failed, and not whether it acted before: the outcome is unknown, and what follows is the same.
 *
 * @param headers read only if the status may be retried
 */
export function classify(
  statusCode: number,
  headers: AnswerHeaders,
  { retryStatuses, unknownStatuses }: AnswerStatuses,
): Outcome {
  if (statusCode < 200 || statusCode > 599) {
    return { kind: 'unknown', statusCode, reason: `HTTP ${statusCode}, which is no known answer` }
  }
  if (statusCode < 300) return { kind: 'accepted', statusCode }
  const reason = describeStatus(statusCode)
  const isUnknown = unknownStatuses(statusCode)
  if (retryStatuses(statusCode)) {
    const retryAfterMs = retryAfter(headers)
    return isUnknown
      ? { kind: 'unknown', statusCode, reason, answer: { isRetried: true, retryAfterMs } }
      : { kind: 'unavailable', statusCode, reason, retryAfterMs }
  }
  return isUnknown
    ? { kind: 'unknown', statusCode, reason, answer: { isRetried: false } }
    : { kind: 'refused', statusCode, reason }
}

/**
 * A status in words, with the phrase of the standard. No part of the body is quoted: it may repeat the
 * transaction, including a card number, and a reason is kept for ever and shown in logs and terminals.
 */
export function describeStatus(statusCode: number): string {
  const phrase = STATUS_CODES[statusCode]
  return phrase === undefined ? `HTTP ${statusCode}` : `HTTP ${statusCode} ${phrase}`
}
