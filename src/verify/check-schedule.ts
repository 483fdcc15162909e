import { isSupersededBy } from './check-attempts.ts'
import type { Destinations } from './destinations.ts'
import type { LogEvent } from './event.ts'
import { isAttemptType } from './event-type.ts'
import { isUnsent, saysUnknown } from './fold.ts'
import type { Invariants } from './invariants.ts'
import { nameOf, type Message, type OpenAttempt } from './message.ts'
import type { FindActor, Settings } from './settings.ts'

// Delays are rounded to whole milliseconds.
const toleranceMs = 1
const jitterShare = 0.2

/** What an event is measured by, and where a difference goes. */
type ScheduleOptions = {
  readonly findActor: FindActor
  readonly destinations: Destinations
  readonly invariants: Invariants
}

/**
 * S9: compares starts, leases, delays and retries with the settings of the instance that wrote the event. A failure that is spared,
 * because its destination did not flow, has no limit of retries. Call it before the event is folded into its message.
 */
export function checkSchedule(message: Message, event: LogEvent, options: ScheduleOptions): void {
  const { unretried } = message
  if (unretried?.event.type === 'attempt_abandoned' && !isSupersededBy(unretried.event, event))
    checkAbandonment(message, unretried.event, unretried.attempt, options)
  if (unretried?.event.outcome === 'unknown' && event.type === 'dead_lettered')
    checkGivenUp(message, unretried.event, event, options)
  const { type } = event
  if (!isAttemptType(type)) return
  switch (type) {
    case 'attempt_started':
      checkStart(message, event, options)
      return
    case 'attempt_failed':
      checkFailure(message, event, options)
      return
    case 'attempt_abandoned':
      // Without a due time the next event shows whether the attempt was superseded.
      if (event.dueAt !== null) checkAbandonment(message, event, message.open, options)
      return
    case 'succeeded':
    case 'dead_lettered':
    case 'late_result_observed':
      return
  }
}

function checkStart(
  message: Message,
  event: LogEvent,
  { findActor, invariants: { S9 } }: ScheduleOptions,
): void {
  const name = nameOf(message)
  const { dueAt } = message
  S9.checked++
  // A start from a status that is never due is an illegal transition, and is reported as one.
  if (dueAt !== null && message.status !== 'processing' && event.recordedAt < dueAt)
    S9.differ(name, event.version, `starts ${dueAt - event.recordedAt} µs before it is due`)
  const { settings } = findActor(event.actor)
  if (settings === null) return
  const leaseMs = delayMs(event)
  if (leaseMs === null || Math.abs(leaseMs - settings.leaseMs) > toleranceMs)
    S9.differ(name, event.version, `a lease of ${leaseMs} ms, but the instance has ${settings.leaseMs} ms`)
}

function checkFailure(
  message: Message,
  event: LogEvent,
  { findActor, destinations, invariants }: ScheduleOptions,
): void {
  const { settings } = findActor(event.actor)
  const name = nameOf(message)
  const { S9 } = invariants
  S9.checked++
  const isRetried = event.dueAt !== null
  if (event.outcome === 'refused') {
    if (isRetried) S9.differ(name, event.version, 'a refused attempt is retried')
    return
  }
  if (isUnsent(event)) {
    if (delayMs(event) !== 0)
      S9.differ(name, event.version, 'waited in its lane and was not sent, but is not due at once')
    return
  }
  if (settings === null) return
  // Of an unknown outcome the next event says why it is not retried.
  if (!destinations.spare(event) && (isRetried || event.outcome !== 'unknown'))
    checkRetries(message, event, settings, invariants)
  const canBeRaised = event.outcome === 'unavailable' || event.outcome === 'unknown'
  if (isRetried) checkBackoff(message, event, settings, canBeRaised, invariants)
}

/** An attempt of an unknown outcome is not retried if its status is not, or if its retries are exhausted. */
function checkGivenUp(
  message: Message,
  end: LogEvent,
  event: LogEvent,
  { findActor, destinations, invariants }: ScheduleOptions,
): void {
  const { settings } = findActor(end.actor)
  if (end.type !== 'attempt_failed' || settings === null || saysUnknown(event)) return
  if (!destinations.spare(end)) checkRetries(message, end, settings, invariants)
}

function checkAbandonment(
  message: Message,
  event: LogEvent,
  attempt: OpenAttempt | null,
  { findActor, destinations, invariants }: ScheduleOptions,
): void {
  const { settings } = findActor(event.actor)
  const name = nameOf(message)
  const { S9 } = invariants
  S9.checked++
  if (attempt !== null && event.recordedAt < attempt.leaseEndsAt)
    S9.differ(
      name,
      event.version,
      `abandoned ${attempt.leaseEndsAt - event.recordedAt} µs before its lease ends`,
    )
  if (settings === null) return
  const isSpared = destinations.spare(event)
  if (!isSpared) checkRetries(message, event, settings, invariants)
  if (event.dueAt === null) return
  // Without a retry left, one that is spared waits its backoff too.
  const waits = message.abandonedBefore || (isSpared && message.retryCount >= settings.retriesMax)
  if (waits) checkBackoff(message, event, settings, false, invariants)
  else if (delayMs(event) !== 0)
    S9.differ(
      name,
      event.version,
      `due ${delayMs(event)} ms after a first abandonment, but should be due at once`,
    )
}

/** A retry must be scheduled while fewer than the largest number of retries were scheduled, and not after that. */
function checkRetries(message: Message, event: LogEvent, settings: Settings, { S9 }: Invariants): void {
  const name = nameOf(message)
  const { retryCount } = message
  const { retriesMax } = settings
  if (event.dueAt !== null && retryCount >= retriesMax)
    S9.differ(name, event.version, `retried after ${retryCount} of at most ${retriesMax} retries`)
  if (event.dueAt === null && retryCount < retriesMax)
    S9.differ(name, event.version, `given up after ${retryCount} of at most ${retriesMax} retries`)
}

function checkBackoff(
  message: Message,
  event: LogEvent,
  { baseDelayMs, maxDelayMs }: Settings,
  canBeRaised: boolean,
  { S9 }: Invariants,
): void {
  const doubled = Math.min(maxDelayMs, baseDelayMs * 2 ** message.retryCount)
  const least = doubled * (1 - jitterShare)
  // Retry-After may raise a delay up to the maximum.
  const most = canBeRaised ? maxDelayMs : Math.min(maxDelayMs, doubled * (1 + jitterShare))
  const delay = delayMs(event) ?? 0
  if (delay < least - toleranceMs || delay > most + toleranceMs)
    S9.differ(
      nameOf(message),
      event.version,
      `a delay of ${delay} ms; policy allows ${Math.round(least)} to ${Math.round(most)} ms`,
    )
}

function delayMs(event: LogEvent): number | null {
  return event.dueAt === null ? null : (event.dueAt - event.recordedAt) / 1_000
}
