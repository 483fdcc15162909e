import type { Pool } from 'pg'
import type { MessageId, TransactionId } from '../../message/message.ts'
import { keepTracestate } from '../../message/keep-tracestate.ts'
import { booleanArray, byteaArray, int4Array, int8Array, textArray } from './binary-array.ts'
import type { Claim } from './to-claim.ts'
import { namedCall } from './named-call.ts'

/** One Kafka record, decoded as far as possible. */
export type DecodedRecord = {
  offset: bigint
  /** The record's own timestamp; null if the producer gave none. */
  timestampMs: bigint | null
  key: Buffer | null
  /** JSON text of [[name, base64 | null], …]; null if the record has no headers. */
  headers: string | null
  traceparent: string | null
  /** The bytes of the value: all of them, the first 64 KiB if it was cut, or null if the value was null. */
  payload: Buffer | null
  payloadState: 'whole' | 'cut' | 'absent'
  /** The size of the value as it was received. */
  payloadBytes: number
  /** SHA-256 of the whole value as it was received; of zero bytes if the value was null. */
  sha256: Buffer
  /** PostgreSQL's json type can show the value: UTF-8 JSON, at most 1,000 levels deep. */
  isJson: boolean
  /** The identity; for a rejected record, the id that is made of its coordinates. */
  transactionId: string
  /** Why the record is rejected; null if it is not. */
  rejection: string | null
}

/** A part of a partition, from `first` to before `next`. Every offset in it is a record or lies in a hole. */
export type Slice = {
  topic: string
  partition: number
  incarnation: number
  first: bigint
  next: bigint
  records: readonly DecodedRecord[]
  holes: readonly { first: bigint; next: bigint }[]
  /** Where the partition's first slice began; null, as without it, if that is not known. A log that has lost the partition takes no later slice. */
  begins?: bigint | null
}

/** What became of a record. `skipped`: its offset lies below the stored next offset, so it was stored before. */
export type RecordResult = 'received' | 'duplicate' | 'conflict' | 'rejected' | 'skipped'

export type IngestAnswer =
  /** `claims`: the messages whose first attempt was started in the same transaction. */
  | { kind: 'stored'; nextOffset: bigint; results: RecordResult[]; claims: Claim[] }
  /** The slice begins above the stored next offset; nothing was stored. */
  | { kind: 'ahead'; nextOffset: bigint }
  | { kind: 'stopped'; reason: string; nextOffset: bigint }
  /** A later incarnation of the partition has begun; nothing was stored. */
  | { kind: 'ended'; nextOffset: bigint }

const resultsByLetter: Record<string, RecordResult> = {
  r: 'received',
  d: 'duplicate',
  c: 'conflict',
  x: 'rejected',
  s: 'skipped',
}

export type IngestOptions = {
  /** The name in the events of the records. */
  actor: string
  /** The name in the events of the attempts that are started. */
  lane: string
  /** How many attempts may be started. */
  room: number
  leaseMs: number
}

/**
 * Stores one slice in one transaction and one round trip, and starts the first attempt of up to `room` of its messages.
 *
 * @throws what pg throws; if the connection was lost, the transaction may have been committed all the same
 */
export async function ingest(
  database: Pool,
  slice: Slice,
  { actor, lane, room, leaseMs }: IngestOptions,
): Promise<IngestAnswer> {
  const call = namedCall('ingest', {
    in_topic: slice.topic,
    in_partition: slice.partition,
    in_incarnation: slice.incarnation,
    in_first: slice.first,
    in_next: slice.next,
    in_actor: actor,
    in_room: room,
    in_lane: lane,
    in_lease_ms: leaseMs,
    ...encodeRecords(slice.records),
    in_hole_firsts: int8Array(slice.holes.map((hole) => hole.first)),
    in_hole_nexts: int8Array(slice.holes.map((hole) => hole.next)),
    in_begins: slice.begins ?? null,
  })
  const { rows } = await database.query<IngestRow>({
    name: 'ingest',
    text: `select answer, next_offset, reason, results, message_ids, claimed, lease_ends_at from ${call.text}`,
    values: call.values,
  })
  const row = rows[0]
  if (row === undefined) throw new Error('ingest() answered no row')
  const nextOffset = BigInt(row.next_offset)
  switch (row.answer) {
    case 'ahead':
      return { kind: 'ahead', nextOffset }
    case 'ended':
      return { kind: 'ended', nextOffset }
    case 'stopped':
      return { kind: 'stopped', reason: row.reason ?? 'no reason given', nextOffset }
    case 'stored':
      return { kind: 'stored', nextOffset, ...readResults(row, slice.records) }
  }
}

type IngestRow = {
  answer: 'stored' | 'ahead' | 'stopped' | 'ended'
  next_offset: string
  reason: string | null
  results: string | null
  message_ids: string[] | null
  claimed: number | null
  lease_ends_at: string | null
}

function encodeRecords(records: readonly DecodedRecord[]): Record<string, Buffer> {
  return {
    in_offsets: int8Array(records.map((record) => record.offset)),
    in_transaction_ids: textArray(records.map((record) => record.transactionId)),
    in_rejections: textArray(records.map((record) => record.rejection)),
    in_payload_hashes: byteaArray(records.map((record) => record.sha256)),
    in_payloads: byteaArray(records.map((record) => record.payload)),
    in_payload_states: textArray(records.map((record) => record.payloadState)),
    in_payload_sizes: int4Array(records.map((record) => record.payloadBytes)),
    in_are_json: booleanArray(records.map((record) => record.isJson)),
    in_keys: byteaArray(records.map((record) => record.key)),
    in_headers: textArray(records.map((record) => record.headers)),
    in_traceparents: textArray(records.map((record) => record.traceparent)),
    in_timestamps_ms: int8Array(records.map((record) => record.timestampMs)),
  }
}

function readResults(
  row: IngestRow,
  records: readonly DecodedRecord[],
): { results: RecordResult[]; claims: Claim[] } {
  const letters = row.results ?? ''
  const results: RecordResult[] = []
  const claims: Claim[] = []
  const claimed = row.claimed ?? 0
  const leaseEndsAt = BigInt(row.lease_ends_at ?? 0)
  records.forEach((record, at) => {
    const result = resultsByLetter[letters.charAt(at)]
    if (result === undefined) throw new Error(`ingest() answered ${letters} for ${records.length} records`)
    results.push(result)
    const messageId = row.message_ids?.[at]
    if (result === 'received' && claims.length < claimed && messageId !== undefined) {
      claims.push(firstAttempt(messageId as MessageId, record, leaseEndsAt))
    }
  })
  return { results, claims }
}

function firstAttempt(messageId: MessageId, record: DecodedRecord, leaseEndsAt: bigint): Claim {
  if (record.payload === null) throw new Error(`message ${messageId} was received without a payload`)
  return {
    messageId,
    transactionId: record.transactionId as TransactionId,
    attempt: 1,
    leaseEndsAt,
    retries: 0,
    payload: record.payload,
    traceparent: record.traceparent,
    headers: keepTracestate(record.headers),
    ageMs: 0,
  }
}
