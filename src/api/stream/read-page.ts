import type { Pool } from 'pg'
import type { LogCursor } from '../../log/read/log-cursor.ts'
import type { LogEvent } from '../../log/read/log-event.ts'
import { readEvents, type EventFilter } from '../../log/read/read-events.ts'
import { readLastPosition } from '../../log/read/read-last-position.ts'
import { ask } from '../ask.ts'
import { SubscriptionEnded } from './subscription-ended.ts'

export type Page = {
  readonly events: readonly LogEvent[]
  /** Everything up to here was looked at. */
  readonly stoppedAt: LogCursor
  /** The end of the readable log was reached. */
  readonly caughtUp: boolean
  /** More is in the log already, above the watermark when this was read: nothing NOTIFYs when it comes below. */
  readonly heldBack: boolean
}

/** @throws DatabaseUnavailable, or SubscriptionEnded if the log is not the one that the cursor is of */
export type ReadPage = (after: LogCursor, filter?: EventFilter) => Promise<Page>

const rowsMax = 500
// A sparse filter walks the log in steps that take some milliseconds each.
const examinedMax = 10_000

export function pageReader(database: Pool): ReadPage {
  return (after, filter = {}) =>
    ask(database, async (client) => {
      const answer = await readEvents(client, { after, filter, rowsMax, examinedMax })
      // Asked after the page, so that what was appended in between is known to be missing from it.
      const last = answer.kind === 'read' && answer.caughtUp ? await readLastPosition(client) : 0n
      return { answer, last }
    }).then(({ answer, last }) => {
      if (answer.kind === 'refused') throw new SubscriptionEnded({ kind: 'cursor', fault: answer.reason })
      return { ...answer, heldBack: last >= BigInt(answer.stoppedAt.position) }
    })
}
