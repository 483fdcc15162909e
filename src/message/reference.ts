import { JsonBody } from './json-body.ts'

/** Where an answer has what the processor calls the payment: a JSON pointer (RFC 6901) into its body, or a header in lower case. */
export type ReferenceSource =
  { readonly kind: 'json'; readonly pointer: string } | { readonly kind: 'header'; readonly name: string }

/** Why a reference is not kept. */
export const referenceFaults = [
  'not_text',
  'empty',
  'too_long',
  'control_character',
  'not_utf8',
  'card_number',
  'body_too_long',
] as const
export type ReferenceFault = (typeof referenceFaults)[number]

/** A reference, or why the one that an answer has is not kept. */
export type FoundReference = { readonly text: string } | { readonly fault: ReferenceFault }

/**
 * What is read of an answer: its body, null if it is too long to be read; and the header's value with one character a byte (latin1), null if
 * it did not come.
 */
type Answer = { readonly body: string | null; readonly header: string | null }

/** What an answer calls the payment; null if it does not. */
export function readReference(source: ReferenceSource, { body, header }: Answer): FoundReference | null {
  if (source.kind === 'header')
    return header === null ? null : judgeReference(Buffer.from(header, 'latin1').toString('utf8').trim())
  if (body === null) return { fault: 'body_too_long' }
  const value = new JsonBody(body).at(source.pointer)
  if (value === null) return null
  const isText = value.kind === 'string' || (value.kind === 'number' && /^-?\d+$/.test(value.text))
  return isText ? judgeReference(value.text) : { fault: 'not_text' }
}

const bytesMax = 128

// Cc is C0, DEL and C1; Cs is half a surrogate pair, which UTF-8 cannot encode; Zl and Zp break a line.
const unfit = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/u

/** A reference goes into the log for ever, and into other logs, terminals and pages. */
function judgeReference(text: string): FoundReference {
  const fault = findFault(text)
  return fault === null ? { text } : { fault }
}

function findFault(text: string): ReferenceFault | null {
  if (text.trim() === '') return 'empty'
  if (Buffer.byteLength(text) > bytesMax) return 'too_long'
  if (unfit.test(text)) return 'control_character'
  // What bytes that are no UTF-8 are decoded to.
  if (text.includes('\ufffd')) return 'not_utf8'
  return hasCardNumber(text) ? 'card_number' : null
}

const cardDigitsMin = 13
const cardDigitsMax = 19
const digitGroups = /\d+(?:[\s\p{Pd}]+\d+)*/gu

/**
 * Whether 13 to 19 digits that pass Luhn's test (ISO/IEC 7812-1) stand in the text, in one group or in several with spaces or dashes
 * between. Of other numbers of so many digits one in ten passes too.
 */
function hasCardNumber(text: string): boolean {
  // Digits of other widths, or raised ones, are digits to whoever reads them.
  for (const [run] of text.normalize('NFKC').matchAll(digitGroups)) {
    const groups = run.split(/\D+/u)
    for (let first = 0; first < groups.length; first += 1) {
      let digits = ''
      for (let last = first; last < groups.length && digits.length < cardDigitsMax; last += 1) {
        digits += groups[last] ?? ''
        if (digits.length >= cardDigitsMin && digits.length <= cardDigitsMax && passesLuhn(digits))
          return true
      }
    }
  }
  return false
}

function passesLuhn(digits: string): boolean {
  let sum = 0
  for (let at = 0; at < digits.length; at += 1) {
    const digit = Number(digits[digits.length - 1 - at])
    const weighed = at % 2 === 0 ? digit : digit * 2
    sum += weighed > 9 ? weighed - 9 : weighed
  }
  return sum % 10 === 0
}
