import type { Outcome } from './outcome.ts'

/**
 * What the outcome of an attempt says of the destination, and not of the payment:
 *
 * - `success`: the payment was accepted.
 * - `refusal`: the payment was refused, so the destination works; many in a row say that something common to all is wrong.
 * - `other`: another attempt is asked for (a 429 or 409), so the destination works.
 * - `failure`: no answer, a fault of the destination (5xx), or one that refuses us (HOLD_STATUSES).
 * - `none`: nothing, because no request was made, or because a slow database left it hardly any time.
 */
export type Verdict = 'success' | 'refusal' | 'other' | 'failure' | 'none'

/**
 * @param isSent false if the attempt waited in its lane and was not sent
 * @param holdStatuses the statuses by which the destination refuses us, and not one payment
 */
export function judge(
  outcome: Outcome,
  isSent: boolean,
  holdStatuses: (statusCode: number) => boolean,
): Verdict {
  switch (outcome.kind) {
    case 'accepted':
      return 'success'
    case 'refused':
      return 'refusal'
    case 'unavailable':
      return judgeRetried(outcome.statusCode, holdStatuses)
    case 'not_sent':
      return isSent ? 'failure' : 'none'
    case 'unknown':
      if (!('answer' in outcome)) return 'failure'
      return outcome.answer.isRetried ? judgeRetried(outcome.statusCode, holdStatuses) : 'refusal'
  }
}

function judgeRetried(statusCode: number, holdStatuses: (statusCode: number) => boolean): Verdict {
  return statusCode >= 500 || holdStatuses(statusCode) ? 'failure' : 'other'
}
