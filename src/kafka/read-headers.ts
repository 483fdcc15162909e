import type { KafkaMessage } from 'kafkajs'
import type { FetchedRecord, HeaderPair } from './answer/read-records.ts'

export type RecordHeaders = {
  /** JSON text of [[name, base64 | null], …] in the record's order; null if the record has no headers. */
  json: string | null
  traceparent: string | null
}

const none: RecordHeaders = { json: null, traceparent: null }

// The value becomes an HTTP header, so it is taken only if it can be one unchanged. W3C's is 55 characters;
// later versions may be longer.
const cleanTraceparent = /^[\x21-\x7e]{1,255}$/

/**
 * A record's headers in a form that keeps every byte of their values, and the one header that is passed on.
 */
export function readHeaders(headers: FetchedRecord['headers']): RecordHeaders {
  const pairs = pairHeaders(headers)
  if (pairs.length === 0) return none
  const first = pairs.find(([name]) => name === 'traceparent')?.[1]?.toString('latin1')
  return {
    json: JSON.stringify(pairs.map(([name, value]) => [name, value?.toString('base64') ?? null])),
    traceparent: first !== undefined && cleanTraceparent.test(first) ? first : null,
  }
}

/** The headers as pairs, also from kafkajs' own reader, which groups them by name. */
export function pairHeaders(headers: FetchedRecord['headers']): readonly HeaderPair[] {
  if (isPaired(headers)) return headers
  return Object.entries(headers ?? {}).flatMap(([name, value]) =>
    valuesOf(value).map((each) => [name, each] as const),
  )
}

function isPaired(headers: FetchedRecord['headers']): headers is readonly HeaderPair[] {
  return Array.isArray(headers)
}

type GatheredValue = NonNullable<KafkaMessage['headers']>[string]

/** One value, or an array if the name is repeated. kafkajs' types do not say that a value may be null. */
function valuesOf(value: GatheredValue | null): (Buffer | null)[] {
  if (Array.isArray(value)) return value.flatMap(valuesOf)
  if (value === undefined || value === null) return [null]
  return [typeof value === 'string' ? Buffer.from(value) : value]
}
