/**
 * What became of one HTTP request, as far as we can know. The kinds are closed, and each says whether the processor may
 * have carried the transaction out: `accepted` yes; `refused`, `unavailable` and `not_sent` no; `unknown` nobody can say.
 */
export type Outcome =
  | { kind: 'accepted'; statusCode: number }
  | { kind: 'refused'; statusCode: number; reason: string }
  | { kind: 'unavailable'; statusCode: number; reason: string; retryAfterMs: number | null }
  | { kind: 'not_sent'; reason: string }
  | { kind: 'unknown'; statusCode: number | null; reason: string }

export type OutcomeKind = Outcome['kind']
