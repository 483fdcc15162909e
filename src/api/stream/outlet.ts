import { compareCursors, type LogCursor } from '../../log/read/log-cursor.ts'
import { Latch } from '../../runtime/latch.ts'
import type { Delivery } from './delivery.ts'
import type { Sink } from './sink.ts'
import { SubscriptionEnded } from './subscription-ended.ts'

// Several pages of the tail, and more than it keeps for those who join.
const deliveriesMax = 2_500
const bytesMax = 4 * 1_024 * 1_024
// Far longer than a slow connection needs for one delivery.
const untakenMsMax = 30_000

/**
 * What waits between the tail and one subscriber: bounded by count, by bytes and in time. Whoever lets it run over is cut off
 * and resumes by cursor; what waited is dropped at once, so that a subscriber who never reads costs next to nothing.
 */
export class Outlet implements Sink {
  /** What lies at or before this cursor the subscriber has already; null once the tail has passed it. */
  #after: LogCursor | null
  #waiting: Delivery[] = []
  #first = 0
  #bytes = 0
  #movedAt = 0
  #failure: SubscriptionEnded | null = null
  readonly #stirred = new Latch()
  readonly #onIdle: (outlet: Outlet) => void

  /** @param onIdle called when the subscriber has dealt with all that it got, and comes for more */
  constructor(after: LogCursor, onIdle: (outlet: Outlet) => void) {
    this.#after = after
    this.#onIdle = onIdle
  }

  /** When the subscriber last took something; `performance.now()`. */
  get movedAt(): number {
    return this.#movedAt
  }

  get isEmpty(): boolean {
    return this.#first === this.#waiting.length
  }

  /** Adds what the subscriber is to get next, or cuts it off. Says whether there was anything for it. */
  push(deliveries: readonly Delivery[]): boolean {
    if (this.#failure !== null) return false
    if (this.isEmpty) this.#movedAt = performance.now()
    const before = this.#waiting.length
    for (const each of deliveries) {
      if (this.#after !== null) {
        if (compareCursors(each.cursor, this.#after) <= 0) continue
        this.#after = null
      }
      this.#waiting.push(each)
      this.#bytes += each.bytes
    }
    if (this.#waiting.length === before) return false
    if (this.#waiting.length - this.#first > deliveriesMax || this.#bytes > bytesMax) this.#cutSlow()
    else this.#stirred.open()
    return true
  }

  stir(): void {
    this.#stirred.open()
  }

  /** Cuts the subscriber off if what it is to get next has waited for too long. */
  checkStall(now: number): void {
    if (!this.isEmpty && now - this.#movedAt > untakenMsMax) this.#cutSlow()
  }

  fail(failure: SubscriptionEnded): void {
    if (this.#failure !== null) return
    this.#failure = failure
    this.#waiting = []
    this.#first = 0
    this.#bytes = 0
    this.#stirred.open()
  }

  /**
   * The next delivery, or null if none waits.
   * @throws SubscriptionEnded once the subscriber was cut off
   */
  take(): Delivery | null {
    if (this.#failure !== null) throw this.#failure
    const next = this.#waiting[this.#first]
    if (next === undefined) return null
    this.#first += 1
    this.#bytes -= next.bytes
    this.#movedAt = performance.now()
    if (this.isEmpty || this.#first === 1_024) {
      this.#waiting = this.#waiting.slice(this.#first)
      this.#first = 0
    }
    return next
  }

  /** Waits until there is something to take or to throw, the signal aborts, or `msMax` have passed. */
  async wait(signal: AbortSignal, msMax: number | null): Promise<void> {
    if (!this.isEmpty || this.#failure !== null || signal.aborted) return
    this.#onIdle(this)
    this.#stirred.close()
    await this.#stirred.opened(signal, msMax)
  }

  #cutSlow(): void {
    this.fail(new SubscriptionEnded({ kind: 'slow' }))
  }
}
