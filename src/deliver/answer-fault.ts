/** What was wrong with an answer, or with the connection that it was to come on. */
export type AnswerFaultKind =
  'closed' | 'protocol' | 'headers' | 'headers_too_long' | 'content_length' | 'too_many_interims' | 'upgrade'

/** Ends an attempt whose bytes may have left. `explainBroken` has the sentences. */
export class AnswerFault extends Error {
  readonly kind: AnswerFaultKind
  /** The parser's constant text, if there is one; never a part of the answer. */
  readonly detail: string | null

  constructor(kind: AnswerFaultKind, detail: string | null = null) {
    super(kind)
    this.kind = kind
    this.detail = detail
  }
}
