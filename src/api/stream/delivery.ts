import type { LogCursor } from '../../log/read/log-cursor.ts'
import type { LogEvent } from '../../log/read/log-event.ts'

/**
 * What a subscriber of events gets: an event, or only the cursor that it has got to. One object goes to all subscribers of the
 * same filter, and is never changed.
 */
export type Delivery = {
  readonly cursor: LogCursor
  readonly event: LogEvent | null
  /** The end of the log had been reached when this was read. */
  readonly caughtUp: boolean
  /** About what it takes in memory. */
  readonly bytes: number
}

// The rest of an event is numbers, times and words of a known length.
const fixedBytes = 512

export function deliver(event: LogEvent, caughtUp: boolean): Delivery {
  const bytes = fixedBytes + event.transactionId.length + event.actor.length + 2 * (event.reason?.length ?? 0)
  return { cursor: event.cursor, event, caughtUp, bytes }
}

export function deliverCursor(cursor: LogCursor, caughtUp: boolean): Delivery {
  return { cursor, event: null, caughtUp, bytes: fixedBytes }
}
