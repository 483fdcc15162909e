import type { FoundReference } from './reference.ts'

/**
 * The outcome of one HTTP request, as far as it is known. The kinds are a closed set. Each kind says whether
 * the processor may have carried out the transaction: `accepted` yes; `refused`, `unavailable` and `not_sent`
 * no; `unknown` cannot be known.
 *
 * `reference` is what the answer calls the payment: null if it does not say, and not there if nobody looks for it or there was no answer.
 *
 * `answer` is there if a whole answer came all the same, with a status of UNKNOWN_STATUSES.
 */
export type Outcome = Kind & { readonly reference?: FoundReference | null }

type Kind =
  | { kind: 'accepted'; statusCode: number }
  | { kind: 'refused'; statusCode: number; reason: string }
  | { kind: 'unavailable'; statusCode: number; reason: string; retryAfterMs: number | null }
  | { kind: 'not_sent'; reason: string }
  | { kind: 'unknown'; statusCode: number | null; reason: string }
  | { kind: 'unknown'; statusCode: number; reason: string; answer: UnknownAnswer }

/** What is done after an answer that leaves the outcome unknown: what would be done if it did not. */
type UnknownAnswer =
  { readonly isRetried: false } | { readonly isRetried: true; readonly retryAfterMs: number | null }

export type OutcomeKind = Outcome['kind']
