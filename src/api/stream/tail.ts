import { compareCursors, type LogCursor } from '../../log/read/log-cursor.ts'
import { Latch } from '../../runtime/latch.ts'
import type { Logger } from '../../runtime/logger.ts'
import { reasonOf } from '../../runtime/reason-of.ts'
import { wait } from '../../runtime/wait.ts'
import { deliver, type Delivery } from './delivery.ts'
import { Outlet } from './outlet.ts'
import type { Page, ReadPage } from './read-page.ts'
import type { Selection } from './select-events.ts'
import type { Sink } from './sink.ts'
import { SubscriptionEnded } from './subscription-ended.ts'

/** Calls `wake` whenever events may have been appended. Returns a function that ends this. */
export type OnEvents = (wake: () => void) => () => void

type Group = { readonly matches: Selection['matches']; readonly sinks: Set<Sink> }

// Nothing NOTIFYs when a foreign transaction ends that held events back; they are to come within a second of it.
const heldBackMs = 100
// While commits follow each other closely the log is read at most a hundred times a second, each time for all subscribers.
const betweenReadsMs = 10
const retryMs = 500
const checkStallsMs = 1_000
// The tail goes on once nobody has taken anything for so long.
const untakenMsMax = 200
// The last events that were handed out. A subscriber that has read up to one of them can join without a gap.
const keptMax = 1_000

/**
 * The one reader of the log for all subscribers: it reads each event once, in commit-safe order below the watermark, and
 * hands it to those whose filter it matches. It is woken by NOTIFY, sets a timer only while events lie above the watermark,
 * and asks the database nothing while nobody follows.
 *
 * The tail is as fast as the fastest subscriber that gets something. So in a busy process the tail becomes slower, and not every subscriber
 * is cut off. A subscriber that is a whole outlet behind the fastest is cut off as slow; the tail never waits for it.
 */
export class Tail {
  readonly #read: ReadPage
  readonly #onEvents: OnEvents
  readonly #logger: Logger
  readonly #groups = new Map<string, Group>()
  /** The subscribers that got events of the last page. The first of them that asks for more opens `#wanted`. */
  readonly #served = new Set<Sink>()
  readonly #wanted = new Latch()
  #followers = 0
  #running = new AbortController()
  #cursor: LogCursor | null = null
  #caughtUp = false
  #kept: Delivery[] = []
  /** All of the log after this cursor is in `#kept`, or is still to be read. */
  #keptAfter: LogCursor | null = null

  constructor(read: ReadPage, onEvents: OnEvents, logger: Logger) {
    this.#read = read
    this.#onEvents = onEvents
    this.#logger = logger
  }

  /** The last event that was read, or where the tail started; null while it does not run. */
  get cursor(): LogCursor | null {
    return this.#cursor
  }

  /** The tail had read to the end of the log when it last looked. */
  get caughtUp(): boolean {
    return this.#caughtUp
  }

  /** Keeps the tail running; it starts at `from` unless it runs already. Returns a function that ends this. */
  follow(from: LogCursor): () => void {
    this.#followers += 1
    if (this.#cursor === null) this.#start(from)
    let isFollowing = true
    return () => {
      if (!isFollowing) return
      isFollowing = false
      this.#followers -= 1
      if (this.#followers === 0) this.stop()
    }
  }

  /**
   * Joins a subscriber that has everything up to `cursor`: its outlet gets every later event that matches, once. Null while
   * the tail is too far ahead of that cursor: then the subscriber reads on by itself and tries again. Nothing waits in here, so
   * the tail cannot move between the comparison and the joining.
   */
  join(cursor: LogCursor, selection: Selection): Outlet | null {
    if (this.#keptAfter === null || compareCursors(cursor, this.#keptAfter) < 0) return null
    const outlet = new Outlet(cursor, () => this.#comesForMore(outlet))
    outlet.push(this.#kept.filter(({ event }) => event !== null && selection.matches(event)))
    this.attach(outlet, selection)
    return outlet
  }

  /** Has the sink get every event that matches from the next page on. */
  attach(sink: Sink, { key, matches }: Selection): void {
    const group = this.#groups.get(key) ?? { matches, sinks: new Set() }
    this.#groups.set(key, group)
    group.sinks.add(sink)
  }

  leave(sink: Sink, { key }: Selection): void {
    const group = this.#groups.get(key)
    group?.sinks.delete(sink)
    if (group?.sinks.size === 0) this.#groups.delete(key)
    this.#comesForMore(sink)
  }

  /** Ends every subscription with the error. */
  failAll(failure: SubscriptionEnded): void {
    for (const { sinks } of this.#groups.values()) for (const sink of sinks) sink.fail(failure)
  }

  #comesForMore(sink: Sink): void {
    if (this.#served.has(sink)) this.#wanted.open()
  }

  #start(from: LogCursor): void {
    const running = new AbortController()
    const appended = new Latch()
    this.#running = running
    this.#cursor = this.#keptAfter = from
    this.#caughtUp = false
    const silence = this.#onEvents(() => appended.open())
    const stalls = setInterval(() => this.#checkStalls(), checkStallsMs).unref()
    void this.#run(appended, running.signal).finally(() => {
      silence()
      clearInterval(stalls)
    })
  }

  /** Ends the reading, whoever still follows. */
  stop(): void {
    this.#running.abort()
    this.#cursor = this.#keptAfter = null
    this.#kept = []
  }

  async #run(appended: Latch, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // Before the look: what comes during it calls for another.
      appended.close()
      const restMs = await this.#look(signal)
      if (restMs === 0) continue
      await wait(betweenReadsMs, signal)
      await appended.opened(signal, restMs)
    }
  }

  /** Reads a page and hands it out. Returns how many milliseconds to rest; null to rest until the next wake. */
  async #look(signal: AbortSignal): Promise<number | null> {
    if (this.#cursor === null) return 0
    try {
      const page = await this.#read(this.#cursor)
      if (signal.aborted) return 0
      await this.#handOut(page, signal)
      if (!page.caughtUp) return 0
      return page.heldBack ? heldBackMs : null
    } catch (error) {
      this.#logger.warn({ reason: reasonOf(error) }, 'tail failed')
      // The log is another than the one that was tailed: there is nothing to go on from.
      if (error instanceof SubscriptionEnded) this.failAll(error)
      return retryMs
    }
  }

  async #handOut({ events, caughtUp }: Page, signal: AbortSignal): Promise<void> {
    const hasCaughtUp = caughtUp && !this.#caughtUp
    this.#caughtUp = caughtUp
    if (hasCaughtUp) for (const { sinks } of this.#groups.values()) for (const sink of sinks) sink.stir()
    const last = events.at(-1)
    if (last === undefined) return
    const deliveries = events.map((event) => deliver(event, caughtUp))
    this.#served.clear()
    this.#wanted.close()
    for (const { matches, sinks } of this.#groups.values()) {
      const matching = deliveries.filter(({ event }) => event !== null && matches(event))
      if (matching.length === 0) continue
      for (const sink of sinks) if (sink.push(matching)) this.#served.add(sink)
    }
    // The last event and not the head: a head may name positions that a crash of the server takes back.
    this.#cursor = last.cursor
    this.#keep(deliveries)
    await this.#waitUntilWanted(signal)
  }

  /**
   * Waits until one of the subscribers that got events asks for more, but no longer than any of them takes something. With a fixed time
   * limit, a process too busy to hand out a page in that time would cut off every subscriber.
   */
  async #waitUntilWanted(signal: AbortSignal): Promise<void> {
    let since: number
    do {
      since = performance.now()
      if (this.#served.size > 0) await this.#wanted.opened(signal, untakenMsMax)
    } while (
      !this.#wanted.isOpen &&
      !signal.aborted &&
      [...this.#served].some(({ movedAt }) => movedAt > since)
    )
  }

  #keep(deliveries: readonly Delivery[]): void {
    // Copies, because what was answered to a delivery lives as long as the delivery does.
    for (const each of deliveries) this.#kept.push({ ...each })
    const surplus = this.#kept.length - keptMax
    if (surplus <= 0) return
    this.#keptAfter = this.#kept[surplus - 1]?.cursor ?? this.#keptAfter
    this.#kept = this.#kept.slice(surplus)
  }

  #checkStalls(): void {
    const now = performance.now()
    for (const { sinks } of this.#groups.values()) for (const sink of sinks) sink.checkStall(now)
  }
}
