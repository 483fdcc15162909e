import type { LogEvent } from './event.ts'
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
  const held = `it is on hold since version ${heldAt}`
  const resolved = `it is resolved since version ${resolvedAt}`
  switch (event.type) {
    case 'attempt_started':
      if (heldAt !== null) return `attempt ${event.attempt} starts, but ${held}`
      return cancelledAt === null
        ? null
        : `attempt ${event.attempt} starts, but it was cancelled at version ${cancelledAt}`
    case 'replayed':
      return resolvedAt === null ? null : `replayed, but ${resolved}`
    case 'held':
      return heldAt === null ? null : `held, but ${held}`
    case 'released':
      return heldAt === null ? 'released, but it is not on hold' : null
    case 'cancelled':
      return null
    case 'resolved':
      if (!resolutions.includes(event.resolution)) return `resolved as ${event.resolution}`
      return resolvedAt === null ? null : `resolved, but ${resolved}`
    case 'reopened':
      return resolvedAt === null ? 'reopened, but it is not resolved' : null
    case 'received':
    case 'succeeded':
    case 'attempt_failed':
    case 'attempt_abandoned':
    case 'dead_lettered':
    case 'duplicate_received':
    case 'conflict_received':
    case 'rejected':
    case 'late_result_observed':
    case 'expunged':
    case 'inquiry_started':
    case 'inquired':
      return undefined
  }
}
