/** What the processor says of a payment when it is asked. `no_answer`: nothing that the rules know. */
export const inquiryAnswers = ['carried_out', 'refused', 'in_progress', 'not_found', 'no_answer'] as const
export type InquiryAnswer = (typeof inquiryAnswers)[number]

/** An answer of this status, whose JSON has this value at the pointer (RFC 6901) if there is one, means this. */
export type InquiryRule = {
  readonly status: (statusCode: number) => boolean
  readonly at: { readonly pointer: string; readonly value: string } | null
  readonly means: Exclude<InquiryAnswer, 'no_answer'>
}

/** What came back when the processor was asked about a payment. */
export type InquiryResult = { answer: InquiryAnswer; statusCode: number | null; reason: string }

/** The first rule that fits decides. */
export function readAnswer(rules: readonly InquiryRule[], statusCode: number, body: string): InquiryAnswer {
  const value = parse(body)
  const rule = rules.find(
    ({ status, at }) => status(statusCode) && (at === null || textAt(value, at.pointer) === at.value),
  )
  return rule?.means ?? 'no_answer'
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

/** A string, number or boolean as text; null for what is none, or is not there. */
function textAt(value: unknown, pointer: string): string | null {
  let found = value
  for (const part of pointer.split('/').slice(1)) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, name)) return null
    found = (found as Record<string, unknown>)[name]
  }
  return ['string', 'number', 'boolean'].includes(typeof found) ? String(found) : null
}
