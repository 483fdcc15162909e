import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import type { LogEvent, Status, StoredRecord } from './event.ts'
import type { EventType } from './event-type.ts'

const newline = 0x0a

type Line = {
  message_id: number
  version: number
  position: number
  recorded_at: string
  type: EventType
  actor: string
  status: Status
  retry_count: number
  due_at?: string
  attempt?: number
  outcome?: string
  duration_ms?: number
  reason?: string
  resolution?: string
  confirmed_not_carried_out?: boolean
  inquiry?: string
  reference?: string
  request_key?: string
  topic?: string
  partition?: number
  kafka_offset?: number
  incarnation?: number
  payload_sha256?: string
  transaction_id?: string
  related_message_id?: number
  record?: {
    key: string | null
    headers: unknown
    traceparent: string | null
    payload: string | null
    payload_state: StoredRecord['state']
    payload_bytes: number
  }
}

/** Reads the events of an archive, in their order, each with its record, in pieces. */
export async function* readArchived(folder: string): AsyncGenerator<[LogEvent, StoredRecord | null][]> {
  // A line may be many megabytes long. With the default of 16 KiB it would be copied again for each of its chunks.
  const unpacked = createGunzip({ chunkSize: 1024 * 1024 })
  // A fault of the file ends the loop below with its error.
  pipeline(createReadStream(join(folder, 'events.jsonl.gz')), unpacked).catch(() => undefined)
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of unpacked as AsyncIterable<Buffer>) {
    const held = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const piece: [LogEvent, StoredRecord | null][] = []
    let start = 0
    for (let end = held.indexOf(newline); end >= 0; end = held.indexOf(newline, start)) {
      const line = JSON.parse(held.toString('utf8', start, end)) as Line
      piece.push([readEvent(line), readRecord(line)])
      start = end + 1
    }
    rest = held.subarray(start)
    yield piece
  }
}

function readEvent(line: Line): LogEvent {
  return {
    messageId: line.message_id,
    version: line.version,
    position: line.position,
    recordedAt: readMicros(line.recorded_at),
    type: line.type,
    actor: line.actor,
    status: line.status,
    retryCount: line.retry_count,
    dueAt: line.due_at === undefined ? null : readMicros(line.due_at),
    attempt: line.attempt ?? null,
    outcome: line.outcome ?? null,
    durationMs: line.duration_ms ?? null,
    reason: line.reason ?? null,
    resolution: line.resolution ?? null,
    isConfirmed: line.confirmed_not_carried_out === true,
    inquiry: line.inquiry ?? null,
    reference: line.reference ?? null,
    requestKey: line.request_key ?? null,
    topic: line.topic ?? null,
    partition: line.partition ?? null,
    offset: line.kafka_offset ?? null,
    incarnation: line.incarnation ?? null,
    payloadSha256: line.payload_sha256 ?? null,
    transactionId: line.transaction_id ?? null,
    relatedMessageId: line.related_message_id ?? null,
  }
}

function readRecord({ record, payload_sha256 }: Line): StoredRecord | null {
  if (record === undefined) return null
  const payload = record.payload === null ? null : Buffer.from(record.payload, 'base64')
  return {
    state: record.payload_state,
    bytes: record.payload_bytes,
    keptBytes: payload?.length ?? null,
    hasEnvelope: record.key !== null || record.headers !== null || record.traceparent !== null,
    hashes:
      record.payload_state === 'whole' && payload !== null
        ? createHash('sha256').update(payload).digest('hex') === payload_sha256
        : null,
  }
}

/** Reads a time such as 2026-11-28T22:11:16.5+00:00, with up to six digits, as microseconds since 1970. */
function readMicros(text: string): number {
  const [, seconds = '', digits = ''] = /^(.{19})(?:\.(\d+))?\+00:00$/.exec(text) ?? []
  return Date.parse(`${seconds}Z`) * 1_000 + Number(digits.padEnd(6, '0'))
}
