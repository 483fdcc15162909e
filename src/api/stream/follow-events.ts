import type { LogCursor } from '../../log/read/log-cursor.ts'
import { compareCursors } from '../../log/read/log-cursor.ts'
import { breathe } from './breathe.ts'
import { deliver, deliverPlace, type Delivery } from './delivery.ts'
import type { Outlet } from './outlet.ts'
import type { ReadPage } from './read-page.ts'
import type { Selection } from './select-events.ts'
import type { Tail } from './tail.ts'

export type EventsWanted = {
  /** Null for from the head. */
  readonly after: LogCursor | null
  readonly selection: Selection
  /** How often a delivery without an event says how far the subscriber has got; null for never. */
  readonly placesEveryMs: number | null
}

type Log = {
  readonly tail: Tail
  /** Bounded by whoever made it: many may catch up at once. */
  readonly readPage: ReadPage
  readonly readLogEnd: () => Promise<LogCursor>
}

/**
 * Every matching event after the cursor, once, in the order of the log, without end. What is in the log already is read
 * by this subscriber for itself, as fast as it takes it; then it joins the tail, which goes on from the very place where
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
    place: wanted.after ?? (await log.readLogEnd()),
    placeAt: -Infinity,
    outlet: null,
    unfollow: null,
  }
  try {
    // Who starts at the head has caught up; who starts at a cursor has to read first, if only to have the cursor checked.
    let caughtUp = wanted.after === null
    if (isPlaceDue(own, wanted)) yield announce(own, caughtUp)
    while (!isOver()) {
      if (caughtUp) own.unfollow ??= tail.follow(own.place)
      own.outlet = caughtUp ? tail.join(own.place, selection) : null
      if (own.outlet !== null) break
      const page = await log.readPage(own.place, selection.filter)
      for (const event of page.events) {
        yield deliver(event, page.caughtUp)
        await breathe()
        if (isOver()) return
      }
      own.place = page.stoppedAt
      caughtUp ||= page.caughtUp || tail.place !== null
      if (!page.caughtUp && isPlaceDue(own, wanted)) yield announce(own, false)
    }
    yield* live(log.tail, own, wanted, signal)
  } finally {
    if (own.outlet !== null) tail.leave(own.outlet, selection)
    own.unfollow?.()
  }
}

/** What one subscriber keeps: up to where it has everything, and when it last said so. */
type Own = {
  place: LogCursor
  placeAt: number
  outlet: Outlet | null
  unfollow: (() => void) | null
}

async function* live(
  tail: Tail,
  own: Own,
  wanted: EventsWanted,
  signal: AbortSignal,
): AsyncGenerator<Delivery> {
  const { placesEveryMs } = wanted
  let isTold = placesEveryMs === null || wanted.after === null
  while (!signal.aborted && own.outlet !== null) {
    const next = own.outlet.take()
    if (next !== null) {
      own.place = next.cursor
      yield next
      await breathe()
      continue
    }
    // All that the tail has read was delivered, or did not match.
    if (tail.place !== null && compareCursors(tail.place, own.place) > 0) own.place = tail.place
    if ((!isTold && tail.caughtUp) || isPlaceDue(own, wanted)) {
      isTold ||= tail.caughtUp
      yield announce(own, tail.caughtUp)
      continue
    }
    await own.outlet.wait(
      signal,
      placesEveryMs === null ? null : own.placeAt + placesEveryMs - performance.now(),
    )
  }
}

function isPlaceDue({ placeAt }: Own, { placesEveryMs }: EventsWanted): boolean {
  return placesEveryMs !== null && performance.now() >= placeAt + placesEveryMs
}

function announce(own: Own, caughtUp: boolean): Delivery {
  own.placeAt = performance.now()
  return deliverPlace(own.place, caughtUp)
}
