import type { LogEvent } from './event.ts'
import type { EventType } from './event-type.ts'
import type { Invariants } from './invariants.ts'
import { nameOf, type Message } from './message.ts'

/**
 * The events that may follow a terminal state: an operator's replay, resolution and reopening, another record, an answer that came
 * too late, and the end of the bytes.
 */
const allowedAfterTheEnd: ReadonlySet<EventType> = new Set([
  'replayed',
  'duplicate_received',
  'conflict_received',
  'late_result_observed',
  'expunged',
  'resolved',
  'reopened',
])

/** Names a legal step, as `readTransitions` does. */
export function nameTransition(from: string, type: string, to: string): string {
  return `${from} ${type} ${to}`
}

/** S1, S3, S7, S16: compares an event with the one before it. */
export function checkSequence(
  message: Message,
  event: LogEvent,
  legal: ReadonlySet<string>,
  { S1, S3, S7, S16 }: Invariants,
): void {
  const { last, version } = message
  const name = nameOf(message)
  S1.checked++
  S3.checked++
  S7.checked++
  S16.checked++
  if (event.version !== version + 1)
    S1.differ(name, event.version, `follows ${version === 0 ? 'nothing' : `version ${version}`}`)
  const from = last?.status ?? 'none'
  if (!legal.has(nameTransition(from, event.type, event.status)))
    S3.differ(name, event.version, `${event.type} leads from ${from} to ${event.status}`)
  if (last === null) return
  const isTerminal = message.status === 'success' || message.status === 'dead_letter'
  if (isTerminal && !allowedAfterTheEnd.has(event.type))
    S7.differ(name, event.version, `${event.type} after ${message.status}`)
  if (event.type === 'replayed' && message.firstType !== 'received')
    S7.differ(name, event.version, `a message that began as ${message.firstType} is replayed`)
  if (message.expungedAt !== null && (event.type === 'replayed' || event.type === 'expunged'))
    S7.differ(name, event.version, `${event.type} after it was expunged at version ${message.expungedAt}`)
  if (event.recordedAt < last.recordedAt)
    S16.differ(
      name,
      event.version,
      `recorded ${last.recordedAt - event.recordedAt} µs before version ${last.version}`,
    )
  if (event.position < last.position)
    S16.differ(name, event.version, `position ${event.position} after ${last.position}`)
}
