/**
 * The outcome of one HTTP request, as far as it is known. The kinds are a closed set. Each kind says whether
 * the processor may have carried out the transaction: `accepted` yes; `refused`, `unavailable` and `not_sent`
 * no; `unknown` cannot be known.
 */
export type Outcome =
  | { kind: 'accepted'; statusCode: number }
  | { kind: 'refused'; statusCode: number; reason: string }
  | { kind: 'unavailable'; statusCode: number; reason: string; retryAfterMs: number | null }
  | { kind: 'not_sent'; reason: string }
  | { kind: 'unknown'; statusCode: number | null; reason: string }

export type OutcomeKind = Outcome['kind']
