/** The five statuses of a message; `success` and `dead_letter` are terminal. */
export const statuses = ['pending', 'processing', 'success', 'failed', 'dead_letter'] as const
export type Status = (typeof statuses)[number]

/**
 * The types of an event, each in the past tense. SQL defines which type may follow which:
 * `legal_transitions`.
 */
export const eventTypes = [
  'received',
  'attempt_started',
  'succeeded',
  'attempt_failed',
  'attempt_abandoned',
  'dead_lettered',
  'replayed',
  'duplicate_received',
  'conflict_received',
  'rejected',
  'late_result_observed',
  'expunged',
  'held',
  'released',
  'cancelled',
  'resolved',
  'reopened',
  'inquiry_started',
  'inquired',
] as const
export type EventType = (typeof eventTypes)[number]

/** Why a message is a dead letter; see the SQL function dead_letter_cause. */
export const deadLetterCauses = [
  'refused',
  'retries_exhausted',
  'rejected_record',
  'conflicting_record',
  'cancelled',
  'outcome_unknown',
] as const
export type DeadLetterCause = (typeof deadLetterCauses)[number]

/** What an operator says became of the payment of a dead letter. */
export const resolutions = ['carried_out', 'not_carried_out', 'duplicate', 'ignored'] as const
export type Resolution = (typeof resolutions)[number]

/** The two lanes: `fresh` for the first attempt since `received` or `replayed`, `retry` for all others. */
export const lanes = ['fresh', 'retry'] as const
export type LaneName = (typeof lanes)[number]

/**
 * Assigned by the database when a record is first stored. A bigint there and a string here, so that no digit
 * is lost.
 */
export type MessageId = string & { readonly brand: 'MessageId' }

/**
 * The business's id: 1 to 255 bytes of UTF-8 without control characters, or `record:topic:partition:offset`.
 */
export type TransactionId = string & { readonly brand: 'TransactionId' }

/** Identifies one run of one process: a ULID. */
export type InstanceId = string & { readonly brand: 'InstanceId' }
