import type { LogEvent } from './event.ts'
import { isDecisionType } from './event-type.ts'
import type { Invariants } from './invariants.ts'
import { nameOf, type Message } from './message.ts'

const resolutions: readonly (string | null)[] = ['carried_out', 'not_carried_out', 'duplicate', 'ignored']

/**
 * S26: checks that no attempt starts of a message that is on hold or was cancelled, that nothing resolved is replayed, and that a
 * decision begins or ends something. Call it before the event is folded into its message.
 */
export function checkMessageDecisions(message: Message, event: LogEvent, { S26 }: Invariants): void {
  const fault = findFault(message, event)
  if (fault === undefined) return
  S26.checked++
  if (fault !== null) S26.differ(nameOf(message), event.version, fault)
}

/** Undefined for an event that is not checked. */
function findFault({ heldAt, cancelledAt, resolvedAt }: Message, event: LogEvent): string | null | undefined {
  const { type, attempt, resolution } = event
  if (type === 'attempt_started') {
    if (heldAt !== null) return `attempt ${attempt} starts, but it is on hold since version ${heldAt}`
    return cancelledAt === null
      ? null
      : `attempt ${attempt} starts, but it was cancelled at version ${cancelledAt}`
  }
  if (!isDecisionType(type)) return undefined
  const resolved = `it is resolved since version ${resolvedAt}`
  switch (type) {
    case 'replayed':
      return resolvedAt === null ? null : `replayed, but ${resolved}`
    case 'held':
      return heldAt === null ? null : `held, but it is on hold since version ${heldAt}`
    case 'released':
      return heldAt === null ? 'released, but it is not on hold' : null
    case 'cancelled':
      return null
    case 'resolved':
      if (!resolutions.includes(resolution)) return `resolved as ${resolution}`
      return resolvedAt === null ? null : `resolved, but ${resolved}`
    case 'reopened':
      return resolvedAt === null ? 'reopened, but it is not resolved' : null
    case 'expunged':
      return undefined
  }
}
