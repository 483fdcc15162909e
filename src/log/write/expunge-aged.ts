import type { Pool } from 'pg'
import { namedCall } from './named-call.ts'

export type AgedAnswer = {
  /** How many messages were expunged. */
  expunged: number
  /** How many messages are old enough, but held by another session; they are come back to. */
  held: number
  /** Whether older events wait to be looked at. */
  more: boolean
}

/**
 * Expunges messages that have been a success or a dead letter for longer than `retainMs`, oldest first, among those of the next
 * `eventsMax` events. It is one transaction. Of all instances one does this at a time; the others get zeros.
 */
export async function expungeAged(
  database: Pick<Pool, 'query'>,
  request: { retainMs: number; actor: string; reason: string },
  eventsMax: number,
): Promise<AgedAnswer> {
  const call = namedCall('expunge_aged', {
    in_retain_ms: request.retainMs,
    in_actor: request.actor,
    in_reason: request.reason,
    in_events_max: eventsMax,
  })
  const { rows } = await database.query<AgedAnswer>({
    name: 'expunge_aged',
    text: `select expunged, held, more from ${call.text}`,
    values: call.values,
  })
  const [row] = rows
  if (row === undefined) throw new Error('expunge_aged() answers one row')
  return row
}
