import { isTold } from './check-attempts.ts'
import { show } from './check-projection.ts'
import type { LogEvent } from './event.ts'
import { saysForgotten } from './fold.ts'
import type { Invariants } from './invariants.ts'
import { nameOf, type Message } from './message.ts'
import type { FindActor } from './settings.ts'

/**
 * S27 and S28: compares what is done to a message in doubt with the key window of the instance that does it. An attempt must end within the
 * window, and none is given up that could. Call it before the event is folded into its message.
 */
export function checkDoubt(
  message: Message,
  event: LogEvent,
  findActor: FindActor,
  invariants: Invariants,
): void {
  const { S27 } = invariants
  checkInquiry(message, event, findActor, invariants)
  const isStart = event.type === 'attempt_started'
  const isGivenUp =
    message.unretried === null && event.type === 'dead_lettered' && !isTold(message, event, 'refused')
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
function findEnd({ firstSent }: Message, keyWindowMs: number | null): number {
  return keyWindowMs === null || firstSent === null ? Infinity : firstSent.at + keyWindowMs * 1_000
}

const answers = ['carried_out', 'refused', 'in_progress', 'not_found', 'no_answer']

function checkInquiry(message: Message, event: LogEvent, findActor: FindActor, { S28 }: Invariants): void {
  if (event.type !== 'attempt_started' && event.type !== 'inquiry_started' && event.type !== 'inquired')
    return
  const name = nameOf(message)
  const { inDoubtSince, notFounds, notFoundAt, notFoundBy, open } = message
  const gapOf = (actor: string): number | null => findActor(actor).settings?.inquiryGapMs ?? null
  S28.checked++
  if (event.type === 'attempt_started') {
    if (gapOf(event.actor) !== null && inDoubtSince !== null && notFounds < 2)
      S28.differ(
        name,
        event.version,
        `attempt ${event.attempt} starts, but it is in doubt since version ${inDoubtSince}, and was not found ${notFounds} times`,
      )
  } else if (event.type === 'inquiry_started') {
    const sinceMs = notFoundAt === null ? Infinity : (event.recordedAt - notFoundAt) / 1_000
    if (open !== null) S28.differ(name, event.version, `is asked about while attempt ${open.attempt} is open`)
    // Whoever was told it said when it is due again. Another instance may have another gap.
    const gapMs = notFoundBy === null ? null : gapOf(notFoundBy)
    if (sinceMs < (gapMs ?? 0))
      S28.differ(name, event.version, `is asked about again after ${sinceMs} ms, but the gap is ${gapMs} ms`)
  } else if (event.inquiry === null || !answers.includes(event.inquiry))
    S28.differ(name, event.version, `was answered ${event.inquiry}`)
}
