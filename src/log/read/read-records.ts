import type { Pool } from 'pg'
import type { MessageId } from '../../message/message.ts'

/** Names a record: it is kept under the message and version of the event that accounts for it. */
export type RecordKey = { readonly messageId: MessageId; readonly version: number }

/** What is known about a record's value without reading the value. */
export type PayloadFacts = RecordKey & {
  readonly state: 'whole' | 'cut' | 'expunged' | 'absent'
  /** The size of the value as it was received, also if it was cut. */
  readonly bytes: number
}

/** What a record had besides its value. Once it is expunged, the key is null and there are no headers. */
export type RecordEnvelope = RecordKey & {
  readonly key: Buffer | null
  /** The values are base64. */
  readonly headers: readonly (readonly [name: string, value: string | null])[]
  readonly timestampMs: string | null
}

/** `over`: the value did not fit into the bytes that are left, and was not read. */
export type Read<Value> = (RecordKey & { kind: 'over' }) | { kind: 'read'; bytes: number; value: Value }

const keys = `unnest($1::bigint[], $2::int[]) with ordinality as i (message_id, version, place)`

const facts = {
  name: 'read_payload_facts',
  text: `select r.message_id, r.version, r.payload_bytes as bytes, r.payload_state as state
    from ${keys}
    cross join lateral (
      select * from records k where k.message_id = i.message_id and k.version = i.version and k.payload_state <> 'same' limit 1
    ) r`,
}

// PostgreSQL knows the sizes without reading the bytes, which it stores apart (TOAST).
function bounded(size: string): string {
  return `(
      select i.place, r.*, ${size} as size, sum(${size}) over (order by i.place) <= $3 as fits
      from ${keys}
      cross join lateral (
        select * from records k where k.message_id = i.message_id and k.version = i.version limit 1
      ) r
    ) r`
}

const payloads = {
  name: 'read_payloads',
  text: `select r.message_id, r.version, r.size, r.fits or ($4 and r.place = 1) as fits,
      case when r.fits or ($4 and r.place = 1) then r.payload end as payload
    from ${bounded('coalesce(octet_length(r.payload), 0)::bigint')} order by r.place`,
}

const envelopes = {
  name: 'read_envelopes',
  text: `select r.message_id, r.version, r.size, r.fits or ($4 and r.place = 1) as fits,
      case when r.fits or ($4 and r.place = 1) then r.key end as key,
      case when r.fits or ($4 and r.place = 1) then r.headers end as headers,
      r.timestamp_ms
    from ${bounded('(coalesce(octet_length(r.key), 0) + coalesce(octet_length(r.headers::text), 0))::bigint')}
    order by r.place`,
}

function valuesOf(records: readonly RecordKey[]) {
  return [records.map((each) => each.messageId), records.map((each) => each.version)]
}

/**
 * Reads what is known about the values of these records, in any order. A duplicate has no row: its bytes are kept with the
 * original.
 */
export async function readPayloadFacts(
  database: Pick<Pool, 'query'>,
  records: readonly RecordKey[],
): Promise<PayloadFacts[]> {
  const { rows } = await database.query<{
    message_id: MessageId
    version: number
    bytes: number
    state: PayloadFacts['state']
  }>({ ...facts, values: valuesOf(records) })
  return rows.map(({ message_id: messageId, ...row }) => ({ ...row, messageId }))
}

/**
 * Reads the values of records, in the order given, while their bytes fit into `bytesMax`.
 *
 * @param firstAlways reads the first value whatever its size, so that a record of any size can be shown
 */
export async function readPayloads(
  database: Pick<Pool, 'query'>,
  records: readonly RecordKey[],
  bytesMax: number,
  firstAlways: boolean,
): Promise<Read<RecordKey & { payload: Buffer | null }>[]> {
  const { rows } = await database.query<Sized & { payload: Buffer | null }>({
    ...payloads,
    values: [...valuesOf(records), bytesMax, firstAlways],
  })
  return rows.map((row) => {
    const key = { messageId: row.message_id, version: row.version }
    if (!row.fits) return { kind: 'over', ...key }
    return { kind: 'read', bytes: Number(row.size), value: { ...key, payload: row.payload } }
  })
}

/** Reads the keys and headers of records, within the same limits as `readPayloads`. */
export async function readEnvelopes(
  database: Pick<Pool, 'query'>,
  records: readonly RecordKey[],
  bytesMax: number,
  firstAlways: boolean,
): Promise<Read<RecordEnvelope>[]> {
  const { rows } = await database.query<
    Sized & { key: Buffer | null; headers: RecordEnvelope['headers'] | null; timestamp_ms: string | null }
  >({ ...envelopes, values: [...valuesOf(records), bytesMax, firstAlways] })
  return rows.map((row) => {
    const key = { messageId: row.message_id, version: row.version }
    if (!row.fits) return { kind: 'over', ...key }
    const value = { ...key, key: row.key, headers: row.headers ?? [], timestampMs: row.timestamp_ms }
    return { kind: 'read', bytes: Number(row.size), value }
  })
}

type Sized = { message_id: MessageId; version: number; size: string; fits: boolean }
