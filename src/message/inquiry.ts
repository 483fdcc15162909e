import { JsonBody } from './json-body.ts'
import type { FoundReference } from './reference.ts'

/** What the processor says of a payment when it is asked. `no_answer`: nothing that the rules know. */
export const inquiryAnswers = ['carried_out', 'refused', 'in_progress', 'not_found', 'no_answer'] as const
export type InquiryAnswer = (typeof inquiryAnswers)[number]

/** An answer of this status, whose JSON has this value at the pointer (RFC 6901) if there is one, means this. */
export type InquiryRule = {
  readonly status: (statusCode: number) => boolean
  readonly at: { readonly pointer: string; readonly value: string } | null
  readonly means: Exclude<InquiryAnswer, 'no_answer'>
}

/**
 * What came back when the processor was asked about a payment. `reference` is what it calls the payment: null if the answer does not say,
 * and not there if nobody looks for it.
 */
export type InquiryResult = {
  answer: InquiryAnswer
  statusCode: number | null
  reason: string
  reference?: FoundReference | null
}

/**
 * The first rule that fits decides.
 *
 * @param body null if it was not read to its end. Then a rule about it may fit or not, and the rules behind that one decide nothing
 */
export function readAnswer(
  rules: readonly InquiryRule[],
  statusCode: number,
  body: string | null,
): InquiryAnswer {
  const json = new JsonBody(body ?? '')
  const rule = rules.find(
    ({ status, at }) => status(statusCode) && (at === null || body === null || fits(json, at)),
  )
  if (rule === undefined || (rule.at !== null && body === null)) return 'no_answer'
  return rule.means
}

function fits(json: JsonBody, { pointer, value }: NonNullable<InquiryRule['at']>): boolean {
  const found = json.at(pointer)
  return found !== null && found.kind !== 'structure' && found.text === value
}
