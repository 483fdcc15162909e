import { show } from './check-projection.ts'
import type { LogEvent } from './event.ts'
import { saysForgotten } from './fold.ts'
import type { Invariants } from './invariants.ts'
import { nameOf, type Message } from './message.ts'
import type { FindActor } from './settings.ts'

/**
 * S27: compares what is done to a message in doubt with the key window of the instance that does it. An attempt must end within the
 * window, and none is given up that could. Call it before the event is folded into its message.
 */
export function checkDoubt(
  message: Message,
  event: LogEvent,
  findActor: FindActor,
  { S27 }: Invariants,
): void {
  const isStart = event.type === 'attempt_started'
  const isGivenUp = message.unretried === null && event.type === 'dead_lettered'
  if (!isStart && !isGivenUp) return
  const name = nameOf(message)
  S27.checked++
  const { inDoubtSince } = message
  if (inDoubtSince === null) {
    if (isGivenUp) S27.differ(name, event.version, 'is given up as unknown, but it is not in doubt')
    return
  }
  if (isGivenUp && !saysForgotten(event))
    S27.differ(name, event.version, `is given up in doubt: ${event.reason}`)
  const { settings } = findActor(event.actor)
  if (settings === null) return
  const endsAt = findEnd(message, settings.keyWindowMs)
  if (isStart && (event.dueAt ?? 0) > endsAt)
    S27.differ(
      name,
      event.version,
      `attempt ${event.attempt} starts, but it is in doubt since version ${inDoubtSince}, and its key may be forgotten from ${show(endsAt)}`,
    )
  if (isGivenUp && event.recordedAt + settings.leaseMs * 1_000 <= endsAt)
    S27.differ(
      name,
      event.version,
      `is given up, but its key is remembered${endsAt === Infinity ? '' : ` until ${show(endsAt)}`}`,
    )
}

/** In microseconds since 1970. */
function findEnd({ firstAttemptAt }: Message, keyWindowMs: number | null): number {
  return keyWindowMs === null || firstAttemptAt === null ? Infinity : firstAttemptAt + keyWindowMs * 1_000
}
