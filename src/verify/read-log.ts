import type pg from 'pg'
import { copyRows } from './copy-rows.ts'
import type { LogEvent, Status, StoredRecord, StoredState } from './event.ts'
import type { EventType } from './event-type.ts'
import type { RowReader } from './row-reader.ts'

// One pass over four primary keys in the same order. PostgreSQL computes the hashes of the payloads, so they need not be sent.
// The rows of the projection come once for each message, with version 1.
const select = `
  select e.message_id, e.version, e.position, e.recorded_at, e.type, e.actor, e.status, e.retry_count, e.due_at, e.attempt,
    e.outcome, e.duration_ms, e.reason, e.resolution, e.confirmed_not_carried_out, e.inquiry, e.reference, e.request_key, e.topic, e.partition, e.kafka_offset, e.incarnation,
    e.payload_sha256, e.transaction_id, e.related_message_id,
    r.payload_state, r.payload_bytes, octet_length(r.payload),
    case when r.payload_state = 'whole' then coalesce(sha256(r.payload) = e.payload_sha256, false) end,
    r.key is not null or r.headers is not null or r.traceparent is not null,
    s.transaction_id, s.version, s.status, s.retry_count, s.attempts, s.due_at, s.lease_ends_at, s.claimed_by, s.queue,
    s.error_message, s.outcome_unknown, s.is_slow, s.reference, s.position, s.created_at, s.updated_at, s.recorded_at,
    d.version, d.resolution
  from message_events e
  left join records r on r.message_id = e.message_id and r.version = e.version
  left join message_states s on s.message_id = e.message_id and e.version = 1
  left join decided_messages d on d.message_id = e.message_id and e.version = 1
  order by e.message_id, e.version`

/** Reads the whole log, message by message and version by version: each event with its record and, at version 1, the projection. */
export async function readLog(
  client: pg.Client,
  onEvent: (event: LogEvent, record: StoredRecord | null, state: StoredState | null) => void,
): Promise<void> {
  await copyRows(client, select, (row) => {
    const event = readEvent(row)
    const record = readRecord(row)
    onEvent(event, record, readState(row))
  })
}

function readEvent(row: RowReader): LogEvent {
  return {
    messageId: row.integer(),
    version: row.integer(),
    position: row.integer(),
    recordedAt: row.micros(),
    type: row.text() as EventType,
    actor: row.text(),
    status: row.text() as Status,
    retryCount: row.integer(),
    dueAt: row.microsOrNull(),
    attempt: row.integerOrNull(),
    outcome: row.textOrNull(),
    durationMs: row.integerOrNull(),
    reason: row.textOrNull(),
    resolution: row.textOrNull(),
    isConfirmed: row.booleanOrNull() === true,
    inquiry: row.textOrNull(),
    reference: row.textOrNull(),
    requestKey: row.textOrNull(),
    topic: row.textOrNull(),
    partition: row.integerOrNull(),
    offset: row.integerOrNull(),
    incarnation: row.integerOrNull(),
    payloadSha256: row.hexOrNull(),
    transactionId: row.textOrNull(),
    relatedMessageId: row.integerOrNull(),
  }
}

function readRecord(row: RowReader): StoredRecord | null {
  const state = row.textOrNull()
  const bytes = row.integerOrNull()
  const keptBytes = row.integerOrNull()
  const hashes = row.booleanOrNull()
  const hasEnvelope = row.booleanOrNull() === true
  return state === null || bytes === null
    ? null
    : { state: state as StoredRecord['state'], bytes, keptBytes, hashes, hasEnvelope }
}

function readState(row: RowReader): StoredState | null {
  const transactionId = row.textOrNull()
  if (transactionId === null) return null
  return {
    transactionId,
    version: row.integer(),
    status: row.text() as Status,
    retryCount: row.integer(),
    attempts: row.integer(),
    dueAt: row.microsOrNull(),
    leaseEndsAt: row.microsOrNull(),
    claimedBy: row.textOrNull(),
    queue: row.textOrNull() as Status | null,
    errorMessage: row.textOrNull(),
    outcomeUnknown: row.booleanOrNull() === true,
    isSlow: row.booleanOrNull() === true,
    reference: row.textOrNull(),
    position: row.integer(),
    createdAt: row.micros(),
    updatedAt: row.micros(),
    recordedAt: row.micros(),
    decidedAt: row.integerOrNull(),
    resolution: row.textOrNull(),
  }
}
