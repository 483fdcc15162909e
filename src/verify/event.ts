import { isRecordType, type EventType } from './event-type.ts'

export type Status = 'pending' | 'processing' | 'success' | 'failed' | 'dead_letter'

/**
 * One row of the log, as the checker reads it. Times are microseconds since 1970. A number holds them exactly, and also ids,
 * positions and offsets below 2⁵³. The types say what the columns should have. A row with something else is a difference, which
 * is found as an illegal transition.
 */
export type LogEvent = {
  readonly messageId: number
  readonly version: number
  readonly position: number
  readonly recordedAt: number
  readonly type: EventType
  readonly actor: string
  readonly status: Status
  readonly retryCount: number
  readonly dueAt: number | null
  readonly attempt: number | null
  readonly outcome: string | null
  readonly durationMs: number | null
  readonly reason: string | null
  /** What a dead letter was resolved as. */
  readonly resolution: string | null
  /** An operator who replays a message in doubt says that it was not carried out. */
  readonly isConfirmed: boolean
  /** What the processor said of the payment when it was asked. */
  readonly inquiry: string | null
  /** What the processor called the payment. */
  readonly reference: string | null
  /** The request that appended it, as its caller named it. */
  readonly requestKey: string | null
  readonly topic: string | null
  readonly partition: number | null
  readonly offset: number | null
  /** The incarnation of the topic that the offset belongs to. */
  readonly incarnation: number | null
  /** In hexadecimal digits. */
  readonly payloadSha256: string | null
  readonly transactionId: string | null
  readonly relatedMessageId: number | null
}

/** What is kept of a Kafka record besides its event. */
export type StoredRecord = {
  readonly state: 'whole' | 'cut' | 'absent' | 'same' | 'expunged'
  readonly bytes: number
  readonly keptBytes: number | null
  /** The bytes, kept whole, have the hash in the event; null if they were not kept whole. */
  readonly hashes: boolean | null
  /** A key, headers or a traceparent are kept. */
  readonly hasEnvelope: boolean
}

/** A row of `message_states`. */
export type StoredState = {
  readonly transactionId: string
  readonly version: number
  readonly status: Status
  readonly retryCount: number
  readonly attempts: number
  readonly dueAt: number | null
  readonly leaseEndsAt: number | null
  readonly claimedBy: string | null
  readonly queue: Status | null
  readonly errorMessage: string | null
  readonly outcomeUnknown: boolean
  readonly isSlow: boolean
  readonly reference: string | null
  readonly position: number
  readonly createdAt: number
  readonly updatedAt: number
  readonly recordedAt: number
  /** Its row of `decided_messages`: the version of the event that stands; null if it has none. */
  readonly decidedAt: number | null
  readonly resolution: string | null
}

/**
 * Returns whether the event accounts for a Kafka record. The original's side of a conflict does not: the record has a message
 * of its own.
 */
export function isRecordEvent({ type, version }: LogEvent): boolean {
  return isRecordType(type) && (type !== 'conflict_received' || version === 1)
}
