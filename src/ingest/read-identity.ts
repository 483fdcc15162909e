import type { JsonShape } from './scan-json.ts'

/** The key in the top-level object that holds the transaction id. */
export const identityKey = Buffer.from('transaction_id')

/** The id of a rejected or conflicting record begins with this. A business id must not. */
const recordIdPrefix = 'record:'

/**
 * The id of a message that stands for one record. From the second incarnation of the partition on, it names
 * the incarnation too.
 */
export function recordId(topic: string, partition: number, incarnation: number, offset: bigint): string {
  const id = `${recordIdPrefix}${topic}:${partition}:${offset}`
  return incarnation === 1 ? id : `${id}:${incarnation}`
}

const identityBytesMax = 255

// Cc is C0, DEL and C1; Cs is half a surrogate pair, which UTF-8 cannot encode.
const unfit = /[\p{Cc}\p{Cs}\p{Bidi_Control}]/u

export type Identity = { transactionId: string } | { rejection: string }

/**
 * The identity of a record whose value is JSON: the string at its top level, which is from then on compared
 * byte for byte. It goes into headers, logs and terminals, so it may hold no character that breaks a line or
 * reverses its order.
 *
 * @returns the identity, or why there is none, as a sentence for an operator
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
