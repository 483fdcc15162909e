import type { LogCursor } from '../../log/read/log-cursor.ts'
import { compareCursors } from '../../log/read/log-cursor.ts'
import { breathe } from './breathe.ts'
import { deliver, deliverCursor, type Delivery } from './delivery.ts'
import type { Outlet } from './outlet.ts'
import type { ReadPage } from './read-page.ts'
import type { Selection } from './select-events.ts'
import type { Tail } from './tail.ts'

export type EventsWanted = {
  /** Null for from the head. */
  readonly after: LogCursor | null
  readonly selection: Selection
  /** How often a delivery without an event says how far the subscriber has got; null for never. */
  readonly cursorsEveryMs: number | null
}

type Log = {
  readonly tail: Tail
  /** Bounded by whoever made it: many may catch up at once. */
  readonly readPage: ReadPage
  readonly readLogEnd: () => Promise<LogCursor>
}

/**
 * Every matching event after the cursor, once, in the order of the log, without end. What is in the log already is read
 * by this subscriber for itself, as fast as it takes it; then it joins the tail, which goes on from the very cursor where
 * the last page stopped: both read in the same order and below the watermark, so nothing is between them or in both.
 *
 * @throws SubscriptionEnded if the cursor is none of this log, or the subscriber was cut off
 */
export async function* followEvents(
  log: Log,
  wanted: EventsWanted,
  signal: AbortSignal,
): AsyncGenerator<Delivery> {
  const { tail } = log
  const { selection } = wanted
  const isOver = () => signal.aborted
  const own: Own = {
    cursor: wanted.after ?? (await log.readLogEnd()),
    toldAt: -Infinity,
    outlet: null,
    unfollow: null,
  }
  try {
    // Who starts at the head has caught up; who starts at a cursor has to read first, if only to have the cursor checked.
    let caughtUp = wanted.after === null
    if (isCursorDue(own, wanted)) yield announce(own, caughtUp)
    while (!isOver()) {
      if (caughtUp) own.unfollow ??= tail.follow(own.cursor)
      own.outlet = caughtUp ? tail.join(own.cursor, selection) : null
      if (own.outlet !== null) break
      const page = await log.readPage(own.cursor, selection.filter)
      for (const event of page.events) {
        yield deliver(event, page.caughtUp)
        await breathe()
        if (isOver()) return
      }
      own.cursor = page.stoppedAt
      caughtUp ||= page.caughtUp || tail.cursor !== null
      if (!page.caughtUp && isCursorDue(own, wanted)) yield announce(own, false)
    }
    yield* live(log.tail, own, wanted, signal)
  } finally {
    if (own.outlet !== null) tail.leave(own.outlet, selection)
    own.unfollow?.()
  }
}

/** What one subscriber keeps: up to where it has everything, and when it last said so. */
type Own = {
  cursor: LogCursor
  toldAt: number
  outlet: Outlet | null
  unfollow: (() => void) | null
}

async function* live(
  tail: Tail,
  own: Own,
  wanted: EventsWanted,
  signal: AbortSignal,
): AsyncGenerator<Delivery> {
  const { cursorsEveryMs } = wanted
  let isTold = cursorsEveryMs === null || wanted.after === null
  while (!signal.aborted && own.outlet !== null) {
    const next = own.outlet.take()
    if (next !== null) {
      own.cursor = next.cursor
      yield next
      await breathe()
      continue
    }
    // All that the tail has read was delivered, or did not match.
    if (tail.cursor !== null && compareCursors(tail.cursor, own.cursor) > 0) own.cursor = tail.cursor
    if ((!isTold && tail.caughtUp) || isCursorDue(own, wanted)) {
      isTold ||= tail.caughtUp
      yield announce(own, tail.caughtUp)
      continue
    }
    await own.outlet.wait(
      signal,
      cursorsEveryMs === null ? null : own.toldAt + cursorsEveryMs - performance.now(),
    )
  }
}

function isCursorDue({ toldAt }: Own, { cursorsEveryMs }: EventsWanted): boolean {
  return cursorsEveryMs !== null && performance.now() >= toldAt + cursorsEveryMs
}

function announce(own: Own, caughtUp: boolean): Delivery {
  own.toldAt = performance.now()
  return deliverCursor(own.cursor, caughtUp)
}
