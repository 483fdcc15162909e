import type { JsonShape } from './scan-json.ts'

/** The member of the top-level object that says which transaction a record is. */
export const identityKey = Buffer.from('transaction_id')

/** What the id of a rejected or conflicting record begins with; no business id may. */
const recordIdPrefix = 'record:'

/** The id of a message that is its record and nothing else; of a later incarnation of its partition it names which. */
export function recordId(topic: string, partition: number, incarnation: number, offset: bigint): string {
  const id = `${recordIdPrefix}${topic}:${partition}:${offset}`
  return incarnation === 1 ? id : `${id}:${incarnation}`
}

const identityBytesMax = 255

// Cc is C0, DEL and C1; Cs is half a surrogate pair, which UTF-8 cannot carry.
const unfit = /[\p{Cc}\p{Cs}\p{Bidi_Control}]/u

export type Identity = { transactionId: string } | { rejection: string }

/**
 * The identity of a record whose value is JSON: the string at its top level, compared byte for byte ever after. It goes into
 * headers, logs and terminals, hence no character that could break a line or reverse its order.
 *
 * @returns why there is none, as a sentence for an operator
 */
export function readIdentity(value: Buffer, shape: JsonShape): Identity {
  if (!shape.isObject) return { rejection: 'The value is JSON but not an object.' }
  if (shape.occurrences === 0) return { rejection: 'The value has no transaction_id at its top level.' }
  if (shape.occurrences > 1)
    return { rejection: 'The value has transaction_id more than once at its top level.' }
  if (shape.string === null) return { rejection: 'The transaction_id is not a string.' }
  const { start, end } = shape.string
  const written = value.toString('utf8', start + 1, end - 1)
  const text = written.includes('\\') ? (JSON.parse(`"${written}"`) as string) : written
  const rejection = refuse(text)
  return rejection === null ? { transactionId: text } : { rejection }
}

function refuse(text: string): string | null {
  if (text === '') return 'The transaction_id is empty.'
  const bytes = Buffer.byteLength(text)
  if (bytes > identityBytesMax)
    return `The transaction_id has ${bytes} bytes; ${identityBytesMax} are allowed.`
  if (unfit.test(text))
    return 'The transaction_id holds a control character, a bidi character or half a surrogate pair.'
  if (text.startsWith(recordIdPrefix))
    return `The transaction_id begins with ${recordIdPrefix}, which is reserved.`
  return null
}
