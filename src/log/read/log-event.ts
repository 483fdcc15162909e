import type {
  EventType,
  LaneName,
  MessageId,
  Resolution,
  Status,
  TransactionId,
} from '../../message/message.ts'
import type { InquiryAnswer } from '../../message/inquiry.ts'
import type { OutcomeKind } from '../../message/outcome.ts'
import { jobOf } from '../../message/replay-job.ts'
import type { LogCursor } from './log-cursor.ts'
import { rfc3339 } from './rfc3339.ts'

/** An event of the log as the API shows it. Times are RFC 3339 in UTC with six digits. Bigints are decimal text. */
export type LogEvent = {
  readonly cursor: LogCursor
  readonly messageId: MessageId
  readonly version: number
  readonly transactionId: TransactionId
  readonly type: EventType
  readonly recordedAt: string
  /** `instance/lane`, an instance, or an operator's name. */
  readonly actor: string
  /** The lane that wrote the event; null if no lane did. */
  readonly lane: LaneName | null
  readonly attempt: number | null
  readonly outcome: OutcomeKind | null
  readonly statusCode: number | null
  readonly durationMs: number | null
  readonly reason: string | null
  /** What the operator resolved the dead letter as, and what proves it; on `resolved` only. */
  readonly resolution: Resolution | null
  readonly evidence: string | null
  /** True on a `replayed` that needed a confirmation: the operator says that the payment was not carried out. */
  readonly confirmedNotCarriedOut: boolean | null
  /** What the processor said of the payment, on `inquired`. */
  readonly inquiry: InquiryAnswer | null
  /** What the processor called the payment, on events that record an answer which does. */
  readonly reference: string | null
  /** The replay job that appended it; null if none did. */
  readonly job: string | null
  /** When the next attempt may start; null while processing, because the end of a lease is not shown. */
  readonly nextDueAt: string | null
  /** The status of the message after this event. */
  readonly status: Status
  readonly retryCount: number
  /** The Kafka record that this event accounts for. Its key and headers are in the table `records`. */
  readonly source: RecordSource | null
  /** The other message of a conflict, on both sides of it. */
  readonly relatedMessageId: MessageId | null
}

/** A Kafka record by its coordinates. */
export type RecordSource = {
  readonly topic: string
  readonly partition: number
  /** Counts from 1. The next one begins when an operator says that the topic was created anew. */
  readonly incarnation: number
  readonly offset: string
}

/**
 * SQL for the columns of an event `e` that `readLogEvent` needs. The statement adds `epoch`, `archives` and the
 * message's `transaction_id`.
 */
export function eventColumns(e: string): string {
  return `${e}.position, ${e}.message_id, ${e}.version, ${rfc3339(`${e}.recorded_at`)} as recorded_at, ${e}.type, ${e}.actor,
    ${e}.status, ${e}.retry_count, ${e}.attempt, ${e}.outcome, ${e}.status_code, ${e}.duration_ms, ${e}.reason, ${e}.resolution, ${e}.evidence, ${e}.confirmed_not_carried_out, ${e}.inquiry, ${e}.reference,
    ${e}.request_key, ${e}.topic,
    ${e}.partition, ${e}.kafka_offset, ${e}.incarnation, ${e}.related_message_id,
    case when ${e}.status <> 'processing' then ${rfc3339(`${e}.due_at`)} end as next_due_at`
}

/** SQL for the epoch that a position belongs to. An epoch's base is at least the last position before it, and no xid is 0. */
export function epochOf(position: string): string {
  return `(select max(l.epoch) from log_epochs l where l.base < ${position})`
}

export type EventRow = {
  epoch: number
  archives: number
  position: string
  message_id: string
  version: number
  transaction_id: string
  recorded_at: string
  type: EventType
  actor: string
  status: Status
  retry_count: number
  attempt: number | null
  outcome: OutcomeKind | null
  status_code: number | null
  duration_ms: number | null
  reason: string | null
  resolution: Resolution | null
  evidence: string | null
  confirmed_not_carried_out: boolean | null
  inquiry: InquiryAnswer | null
  reference: string | null
  request_key: string | null
  topic: string | null
  partition: number | null
  kafka_offset: string | null
  incarnation: number | null
  related_message_id: string | null
  next_due_at: string | null
}

export function readLogEvent(row: EventRow): LogEvent {
  const { epoch, archives, position, message_id: messageId, version } = row
  return {
    cursor: { epoch, position, messageId, version, archives },
    messageId: messageId as MessageId,
    version,
    transactionId: row.transaction_id as TransactionId,
    type: row.type,
    recordedAt: row.recorded_at,
    actor: row.actor,
    lane: laneOf(row),
    attempt: row.attempt,
    outcome: row.outcome,
    statusCode: row.status_code,
    durationMs: row.duration_ms,
    reason: row.reason,
    resolution: row.resolution,
    evidence: row.evidence,
    confirmedNotCarriedOut: row.confirmed_not_carried_out,
    inquiry: row.inquiry,
    reference: row.reference,
    job: jobOf(row.request_key),
    nextDueAt: row.next_due_at,
    status: row.status,
    retryCount: row.retry_count,
    source: readSource(row),
    relatedMessageId: row.related_message_id as MessageId | null,
  }
}

export function readSource(
  row: Pick<EventRow, 'topic' | 'partition' | 'kafka_offset' | 'incarnation'>,
): RecordSource | null {
  const { topic, partition, kafka_offset: offset, incarnation } = row
  return topic === null || partition === null || offset === null || incarnation === null
    ? null
    : { topic, partition, incarnation, offset }
}

/** An operator's name may end like the name of a lane, but these are never a lane's. */
const operatorTypes: ReadonlySet<EventType> = new Set([
  'replayed',
  'expunged',
  'held',
  'released',
  'cancelled',
  'resolved',
  'reopened',
])

function laneOf({ actor, type }: EventRow): LaneName | null {
  if (operatorTypes.has(type)) return null
  if (actor.endsWith('/fresh')) return 'fresh'
  return actor.endsWith('/retry') ? 'retry' : null
}
