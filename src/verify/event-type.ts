// Each check goes through the types of one kind, and the fold through all four: the compiler and the linter name what lacks a type added here.
const recordTypes = ['received', 'rejected', 'duplicate_received', 'conflict_received'] as const
const attemptTypes = [
  'attempt_started',
  'succeeded',
  'attempt_failed',
  'attempt_abandoned',
  'dead_lettered',
  'late_result_observed',
] as const
const decisionTypes = [
  'replayed',
  'expunged',
  'held',
  'released',
  'cancelled',
  'resolved',
  'reopened',
] as const

export type RecordType = (typeof recordTypes)[number]
export type AttemptType = (typeof attemptTypes)[number]
export type DecisionType = (typeof decisionTypes)[number]
/** The processor is asked, or was. */
export type InquiryType = 'inquiry_started' | 'inquired'

export type EventType = RecordType | AttemptType | DecisionType | InquiryType

/** Whether Kafka handed over a record. */
export const isRecordType = createGuard<RecordType>(recordTypes)

/** Whether an attempt began or ended, or a message was given up after its last one. */
export const isAttemptType = createGuard<AttemptType>(attemptTypes)

/** Whether an operator decided, or RETAIN_PAYLOAD did: there is a reason. */
export const isDecisionType = createGuard<DecisionType>(decisionTypes)

function createGuard<Type extends EventType>(types: readonly Type[]): (type: EventType) => type is Type {
  const known: ReadonlySet<EventType> = new Set(types)
  return (type): type is Type => known.has(type)
}
