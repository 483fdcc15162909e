import type { LogEvent } from './event.ts'
import {
  isAttemptType,
  isDecisionType,
  isRecordType,
  type AttemptType,
  type DecisionType,
  type InquiryType,
  type RecordType,
} from './event-type.ts'
import type { Message } from './message.ts'

// An attempt that took longer to fail was slow.
const slowMs = 1_000

/**
 * Folds one event into its message. It goes by what the event's type means (docs/contract.md), and not by the event's columns
 * about the message. Two columns are an exception, because only the event knows them: when the retry is due, and when the lease
 * ends. When a released message is due follows from what it was due before.
 *
 * @param isSpared whether the event is a failure that uses up no retry, because its destination did not flow
 */
export function fold(message: Message, event: LogEvent, isSpared: boolean): void {
  const { status, retryCount, attempts } = message
  if (message.last === null) begin(message, event)
  message.unretried = null
  apply(message, event, isSpared)
  foldDoubt(message, event)
  // Once any attempt was reported unknown, in time or late, this is true for ever.
  if (event.outcome === 'unknown') message.outcomeUnknown = true
  const isLateFailure = event.type === 'late_result_observed' && event.outcome !== 'accepted'
  if (event.reference !== null && !isLateFailure) message.reference = event.reference
  if (event.type === 'attempt_failed' || event.type === 'attempt_abandoned')
    message.isSlow = (event.durationMs ?? 0) > slowMs
  if (message.status !== 'failed') message.isSlow = false
  if (message.status !== status || message.retryCount !== retryCount || message.attempts !== attempts) {
    message.updatedAt = event.recordedAt
  }
  message.version = event.version
  message.position = event.position
  message.recordedAt = event.recordedAt
  message.last = event
}

/**
 * A message is in doubt since an attempt ended unknown, until the processor accepts or refuses it, or an operator confirms that it was not
 * carried out. A late failure says nothing, but one of an attempt that the log has lost tells of an attempt.
 */
function foldDoubt(message: Message, event: LogEvent): void {
  const isLate = event.type === 'late_result_observed'
  if (event.type === 'attempt_started' || isLate)
    message.firstSent ??= { at: event.recordedAt, attempt: isLate ? null : event.attempt }
  // What surely was not sent has taught the processor no key.
  const isUnsent = event.type === 'attempt_failed' && event.outcome === 'not_sent'
  if (isUnsent && message.firstSent?.attempt === event.attempt) message.firstSent = null
  const isInDoubt = event.outcome === 'unknown' && (!isLate || event.attempt === null)
  if (isInDoubt) message.inDoubtSince = event.version
  // What was asked before says nothing of the next attempt.
  if (isInDoubt || event.type === 'replayed') {
    message.inquiry = null
    message.notFounds = 0
    message.notFoundAt = null
    message.notFoundBy = null
  }
  if (event.outcome === 'accepted' || (event.outcome === 'refused' && !isLate) || event.isConfirmed)
    message.inDoubtSince = null
  if (event.inquiry !== null) foldInquiry(message, event, event.inquiry)
}

function foldInquiry(message: Message, event: LogEvent, answer: string): void {
  const isFound = answer !== 'not_found'
  message.inquiry = { answer, at: event.recordedAt }
  message.notFounds = isFound ? 0 : message.notFounds + 1
  message.notFoundAt = isFound ? null : event.recordedAt
  message.notFoundBy = isFound ? null : event.actor
  if (answer === 'refused') message.inDoubtSince = null
}

function begin(message: Message, event: LogEvent): void {
  message.firstType = event.type
  message.payloadSha256 = event.payloadSha256
  message.createdAt = event.recordedAt
}

function apply(message: Message, event: LogEvent, isSpared: boolean): void {
  const { type } = event
  if (isAttemptType(type)) applyAttempt(message, type, event, isSpared)
  else if (isRecordType(type)) applyRecord(message, type, event)
  else if (isDecisionType(type)) applyDecision(message, type, event)
  else applyInquiry(message, type, event)
}

function applyRecord(message: Message, type: RecordType, event: LogEvent): void {
  switch (type) {
    case 'received':
      message.status = 'pending'
      message.dueAt = event.recordedAt
      return
    case 'rejected':
      refuseRecord(message, event)
      return
    case 'conflict_received':
      // On the original's side it reports another record and changes nothing.
      if (event.version === 1) refuseRecord(message, event)
      return
    case 'duplicate_received':
      return
  }
}

function applyAttempt(message: Message, type: AttemptType, event: LogEvent, isSpared: boolean): void {
  switch (type) {
    case 'attempt_started':
      start(message, event)
      return
    case 'succeeded':
      end(message)
      accept(message)
      return
    case 'attempt_failed':
      message.abandonedBefore = false
      fail(message, event, isSpared)
      return
    case 'attempt_abandoned':
      message.abandonedBefore = true
      fail(message, event, isSpared)
      return
    case 'dead_lettered':
      message.status = 'dead_letter'
      message.letterCause = causeOfEnd(event.reason)
      message.dueAt = null
      return
    case 'late_result_observed':
      message.effectMayDiffer = true
      if (event.outcome === 'accepted') accept(message)
      return
  }
}

function applyDecision(message: Message, type: DecisionType, event: LogEvent): void {
  switch (type) {
    case 'replayed':
      message.status = 'pending'
      message.retryCount = 0
      message.dueAt = event.recordedAt
      message.errorMessage = null
      message.abandonedBefore = false
      message.cancelledAt = null
      endDecisions(message)
      return
    case 'expunged':
      message.expungedAt = event.version
      return
    case 'held':
      if (message.heldAt === null) message.dueBefore = message.dueAt
      message.heldAt = event.version
      message.dueAt = null
      return
    case 'released':
      message.dueAt = Math.max(message.dueBefore ?? 0, event.recordedAt)
      endDecisions(message)
      return
    case 'cancelled':
      endDecisions(message)
      message.status = 'dead_letter'
      message.dueAt = null
      message.cancelledAt = event.version
      message.letterCause = 'cancelled'
      return
    case 'resolved':
      message.resolvedAt = event.version
      message.resolution = event.resolution
      return
    case 'reopened':
      endDecisions(message)
      return
  }
}

function applyInquiry(message: Message, type: InquiryType, event: LogEvent): void {
  switch (type) {
    case 'inquiry_started':
    case 'inquired':
      message.dueAt = event.dueAt
  }
}

function refuseRecord(message: Message, event: LogEvent): void {
  message.status = 'dead_letter'
  message.letterCause = event.type === 'rejected' ? 'rejected_record' : 'conflicting_record'
  message.errorMessage = event.reason
}

/** Why the last attempt, or none, ended the message. */
function causeOfEnd(reason: string | null): string {
  if (reason === 'refused') return 'refused'
  return reason?.startsWith('outcome unknown') === true ? 'outcome_unknown' : 'retries_exhausted'
}

function endDecisions(message: Message): void {
  message.heldAt = null
  message.dueBefore = null
  message.resolvedAt = null
  message.resolution = null
}

function start(message: Message, event: LogEvent): void {
  endDecisions(message)
  const attempt = event.attempt ?? message.attempts + 1
  message.status = 'processing'
  message.attempts = attempt
  message.dueAt = event.dueAt
  message.claimedBy = event.actor
  message.open = {
    attempt,
    actor: event.actor,
    leaseEndsAt: event.dueAt ?? Infinity,
    position: event.position,
  }
  message.startedBy.set(attempt, event.actor)
  message.startedAt.push(event.recordedAt)
}

function end(message: Message): void {
  message.open = null
  message.claimedBy = null
}

function accept(message: Message): void {
  message.status = 'success'
  message.dueAt = null
  message.errorMessage = null
  message.accepted = true
  endDecisions(message)
}

/** An end with a due time has scheduled a retry. An end without one has not, and the next event shows why. */
function fail(message: Message, event: LogEvent, isSpared: boolean): void {
  if (event.dueAt === null) message.unretried = { event, attempt: message.open }
  else if (!isSpared && !isUnsent(event)) message.retryCount += 1
  if (event.outcome === 'unknown' || event.type === 'attempt_abandoned') message.effectMayDiffer = true
  end(message)
  message.status = 'failed'
  message.dueAt = event.dueAt
  message.errorMessage = event.reason
}

/** Whether the event makes a message a dead letter because nobody knows its outcome. */
export function saysUnknown(event: LogEvent): boolean {
  return event.type === 'dead_lettered' && event.reason?.startsWith('outcome unknown') === true
}

/** Whether the event makes a message a dead letter in place of an attempt, because the processor may have forgotten its key. */
export function saysForgotten(event: LogEvent): boolean {
  return saysUnknown(event) && event.attempt === null
}

/** Whether an attempt waited in its lane for other requests to end, and was not sent. Its retry uses up none. */
export function isUnsent(event: LogEvent): boolean {
  return event.type === 'attempt_failed' && event.outcome === 'not_sent' && event.durationMs === null
}
