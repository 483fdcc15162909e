import type { Pool } from 'pg'
import type { DeadLetterCause, EventType, MessageId } from '../../message/message.ts'
import type { OutcomeKind } from '../../message/outcome.ts'
import { readSource, type RecordSource } from './log-event.ts'
import { rfc3339 } from './rfc3339.ts'

/** What the log knows of a message beyond its state. */
export type MessageDetails = {
  readonly messageId: MessageId
  readonly firstType: EventType
  /** The Kafka record that version 1 accounts for. */
  readonly source: RecordSource | null
  /** SHA-256 of the value, in hexadecimal digits. */
  readonly payloadSha256: string | null
  /** The message that a conflicting record conflicts with. */
  readonly conflictsWith: MessageId | null
  /** How many records had this identity and other bytes. */
  readonly conflictCount: number
  readonly lastOutcome: OutcomeKind | null
  readonly lastStatusCode: number | null
  /** When it last became a dead letter, whatever it is now. */
  readonly deadLetteredAt: string | null
  readonly deadLetterCause: DeadLetterCause | null
}

/** SQL for the cause of a dead letter. `e` is the event that made the message one. */
export function causeOf(e: string): string {
  return `dead_letter_cause(${e}.type, ${e}.reason)`
}

/** SQL for the condition that the event `e` makes a message a dead letter. */
export function deadLetters(e: string): string {
  return `${e}.status = 'dead_letter' and (${e}.type in ('dead_lettered', 'cancelled') or ${e}.version = 1)`
}

const statement = {
  name: 'read_details',
  text: `select i.message_id, f.type as first_type, f.topic, f.partition, f.kafka_offset, f.incarnation,
      encode(f.payload_sha256, 'hex') as payload_sha256, f.related_message_id as conflicts_with, c.conflicts,
      o.outcome as last_outcome, o.status_code as last_status_code,
      ${rfc3339('d.recorded_at')} as dead_lettered_at, d.cause as dead_letter_cause
    from unnest($1::bigint[]) as i (message_id)
    cross join lateral (
      select e.type, e.topic, e.partition, e.kafka_offset, e.incarnation, e.payload_sha256, e.related_message_id
      from message_events e where e.message_id = i.message_id and e.version = 1 limit 1
    ) f
    left join lateral (
      select e.outcome, e.status_code from message_events e
      where e.message_id = i.message_id and e.outcome is not null order by e.version desc limit 1
    ) o on true
    left join lateral (
      select e.recorded_at, ${causeOf('e')} as cause from message_events e
      where e.message_id = i.message_id and ${deadLetters('e')} order by e.version desc limit 1
    ) d on true
    cross join lateral (
      select count(*)::int as conflicts from message_events e
      where e.message_id = i.message_id and e.version > 1 and e.type = 'conflict_received'
    ) c`,
}

type Row = {
  message_id: MessageId
  first_type: EventType
  topic: string | null
  partition: number | null
  kafka_offset: string | null
  incarnation: number | null
  payload_sha256: string | null
  conflicts_with: MessageId | null
  conflicts: number
  last_outcome: OutcomeKind | null
  last_status_code: number | null
  dead_lettered_at: string | null
  dead_letter_cause: DeadLetterCause | null
}

/** Reads the details of these messages in one statement, in any order. An unknown id has no row. */
export async function readDetails(
  database: Pick<Pool, 'query'>,
  messageIds: readonly MessageId[],
): Promise<MessageDetails[]> {
  const { rows } = await database.query<Row>({ ...statement, values: [messageIds] })
  return rows.map((row) => ({
    messageId: row.message_id,
    firstType: row.first_type,
    source: readSource(row),
    payloadSha256: row.payload_sha256,
    conflictsWith: row.conflicts_with,
    conflictCount: row.conflicts,
    lastOutcome: row.last_outcome,
    lastStatusCode: row.last_status_code,
    deadLetteredAt: row.dead_lettered_at,
    deadLetterCause: row.dead_letter_cause,
  }))
}
