import type { LogEvent } from './event.ts'
import { isAttemptType } from './event-type.ts'
import { saysForgotten, saysUnknown } from './fold.ts'
import type { Invariants } from './invariants.ts'
import type { LostWindows } from './lost-windows.ts'
import { nameOf, type Message } from './message.ts'

const outcomesOf: Readonly<Record<string, readonly string[]>> = {
  succeeded: ['accepted'],
  attempt_failed: ['refused', 'unavailable', 'not_sent', 'unknown'],
  attempt_abandoned: ['unknown'],
  late_result_observed: ['accepted', 'refused', 'unavailable', 'not_sent', 'unknown'],
}

/** S5 and S6: checks an event that starts, ends or reports on an attempt. Call it before the event is folded into its message. */
export function checkAttempts(
  message: Message,
  event: LogEvent,
  windows: LostWindows,
  invariants: Invariants,
): void {
  if (message.unretried !== null) checkWhatFollows(message, event, invariants)
  const { type } = event
  if (!isAttemptType(type)) return
  switch (type) {
    case 'attempt_started':
      checkStart(message, event, invariants)
      return
    case 'succeeded':
    case 'attempt_failed':
    case 'attempt_abandoned':
      checkOutcome(message, event, invariants)
      checkEnd(message, event, invariants)
      return
    case 'dead_lettered':
      checkDeadLetter(message, event, invariants)
      return
    case 'late_result_observed':
      checkOutcome(message, event, invariants)
      if (event.attempt === null) checkStray(message, event, windows, invariants)
      else checkLate(message, event.attempt, event, invariants)
      return
  }
}

/** S5: checks the last attempt of a message. Call it when all events of the message were read. */
export function checkLastAttempt(message: Message, { S5 }: Invariants): void {
  if (message.unretried === null) return
  const { version, attempt } = message.unretried.event
  S5.differ(nameOf(message), version, `attempt ${attempt} has no retry, but no dead_lettered follows`)
}

/** Returns whether an attempt was abandoned because a late acceptance made it superfluous. Such an attempt needs no retry. */
export function isSupersededBy(end: LogEvent, next: LogEvent): boolean {
  return (
    end.type === 'attempt_abandoned' &&
    next.type === 'late_result_observed' &&
    next.outcome === 'accepted' &&
    next.position === end.position
  )
}

/** Whether the processor said so when it was asked, in the same transaction. */
export function isTold({ last }: Message, event: LogEvent, answer: string): boolean {
  return last?.type === 'inquired' && last.inquiry === answer && last.position === event.position
}

function checkWhatFollows(message: Message, event: LogEvent, { S5 }: Invariants): void {
  const end = message.unretried?.event
  if (end === undefined || isSupersededBy(end, event)) return
  const name = nameOf(message)
  if (event.type !== 'dead_lettered')
    S5.differ(name, end.version, `attempt ${end.attempt} has no retry, but ${event.type} follows`)
  else if (event.position !== end.position)
    S5.differ(name, event.version, `dead_lettered in another transaction than the end of its attempt`)
  else if (saysUnknown(event) && end.outcome !== 'unknown')
    S5.differ(name, event.version, `dead_lettered as unknown, but the outcome is ${end.outcome}`)
  else if (event.attempt !== end.attempt)
    S5.differ(
      name,
      event.version,
      `dead_lettered names attempt ${event.attempt}, but attempt ${end.attempt} ended`,
    )
}

function checkStart(message: Message, event: LogEvent, { S5 }: Invariants): void {
  const name = nameOf(message)
  S5.checked++
  if (message.open !== null)
    S5.differ(name, event.version, `attempt ${event.attempt} starts while ${message.open.attempt} is open`)
  if (event.attempt !== message.attempts + 1)
    S5.differ(name, event.version, `attempt ${event.attempt} starts after ${message.attempts} attempts`)
}

function checkEnd(message: Message, event: LogEvent, { S5, S6 }: Invariants): void {
  const { open } = message
  const name = nameOf(message)
  S5.checked++
  S6.checked++
  if (open === null) {
    S5.differ(name, event.version, `${event.type} of attempt ${event.attempt}, but no attempt is open`)
    return
  }
  if (event.attempt !== open.attempt) {
    S6.differ(
      name,
      event.version,
      `${event.type} of attempt ${event.attempt}, but attempt ${open.attempt} is open`,
    )
    return
  }
  // Another lane or instance abandons an attempt.
  if (event.type !== 'attempt_abandoned' && event.actor !== open.actor)
    S6.differ(name, event.version, `${event.type} by ${event.actor}, but ${open.actor} started it`)
}

function checkOutcome(message: Message, event: LogEvent, { S6 }: Invariants): void {
  if (event.outcome === null || outcomesOf[event.type]?.includes(event.outcome) !== true)
    S6.differ(nameOf(message), event.version, `${event.type} with outcome ${event.outcome}`)
}

function checkDeadLetter(message: Message, event: LogEvent, { S5 }: Invariants): void {
  S5.checked++
  if (message.unretried === null && !saysForgotten(event) && !isTold(message, event, 'refused'))
    S5.differ(nameOf(message), event.version, 'dead_lettered does not directly follow the end of an attempt')
}

/**
 * An answer to an attempt that the log has lost names no attempt. Before the first change of the server there is no such
 * answer.
 */
function checkStray(message: Message, event: LogEvent, windows: LostWindows, { S6 }: Invariants): void {
  S6.checked++
  if (!windows.hasChangedBy(event.recordedAt))
    S6.differ(nameOf(message), event.version, 'late result of no attempt, but the server never changed')
}

function checkLate(message: Message, attempt: number, event: LogEvent, { S6 }: Invariants): void {
  const name = nameOf(message)
  const startedBy = message.startedBy.get(attempt)
  S6.checked++
  if (startedBy === undefined) {
    S6.differ(name, event.version, `late result of attempt ${attempt}, which never started`)
    return
  }
  if (event.actor !== startedBy && !isTold(message, event, 'carried_out'))
    S6.differ(
      name,
      event.version,
      `late result by ${event.actor}, but ${startedBy} started attempt ${attempt}`,
    )
  if (message.open?.attempt === attempt)
    S6.differ(name, event.version, `late result of attempt ${attempt}, which is open`)
  if (event.outcome !== 'accepted' && event.status !== message.status)
    S6.differ(name, event.version, `late ${event.outcome} changes ${message.status} to ${event.status}`)
}
