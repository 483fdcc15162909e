import { Latch } from '../runtime/latch.ts'

/** Why a lane looks again; the label of `tqp_wakeups_total`. */
export type WakeCause = 'start' | 'notify' | 'timer' | 'slot' | 'sweep' | 'reconnect' | 'destination'

/**
 * Shorter waits would spin when a look finds something due that it may not take, as when another instance holds the row.
 */
export const armMinMs = 50

/**
 * Longer waits fire early, the lane looks, finds nothing due and arms again: one cheap look in five minutes. It bounds
 * what a stepped database clock or a suspended machine can cost, and stays clear of 2³¹ ms, where `setTimeout` overflows
 * and fires at once.
 */
export const armMaxMs = 5 * 60_000

/** Instances that wait for the same due time are spread over this span, so that they do not all look at once. */
export const armSpreadMs = 20

/**
 * What a lane waits on between two looks. It is level-triggered: it remembers *that* something happened, never how
 * often, so a burst of a thousand notifications costs one look, and a wake during a look is kept for the next wait. A wake
 * starts nothing by itself.
 */
export class Waker {
  readonly #random: () => number
  #kept: WakeCause | null = null
  readonly #latch = new Latch()
  #timer: NodeJS.Timeout | undefined

  /** @param random in [0, 1) */
  constructor(random: () => number = Math.random) {
    this.#random = random
  }

  /**
   * A hint to look again. One that comes while nobody waits is kept, under the cause that came first. But a cause that has the next look
   * take in more than usual is hidden by no other.
   */
  wake(cause: WakeCause): void {
    if (this.#kept !== null && rankOf(this.#kept) >= rankOf(cause)) return
    this.#kept = cause
    this.#latch.open()
  }

  /**
   * Arms the one timer, which wakes with cause `timer`; arming again replaces it and null disarms it. The timer does not
   * keep a process alive: where only it is left, there is nobody to wake.
   *
   * @param dueInMs from now, by the database's clock; clamped to 50 ms … 5 min, then up to 20 ms are added at random
   */
  arm(dueInMs: number | null): void {
    clearTimeout(this.#timer)
    if (dueInMs === null) return
    const clamped = Math.min(Math.max(dueInMs, armMinMs), armMaxMs)
    // Rounded up: a look even a fraction of a millisecond early finds nothing.
    const delayMs = Math.ceil(clamped + this.#random() * armSpreadMs)
    this.#timer = setTimeout(() => this.wake('timer'), delayMs).unref()
  }

  /**
   * Resolves with the cause of the next wake, at once if one is kept, or with null when the signal aborts.
   * @throws if somebody waits already: a second waiter would steal the first one's wake.
   */
  async next(signal: AbortSignal): Promise<WakeCause | null> {
    await this.#latch.opened(signal)
    if (signal.aborted) return null
    // Taken only now that the waiter goes on, so that the look which follows covers the rest of a burst.
    const cause = this.#kept
    this.#kept = null
    this.#latch.close()
    return cause
  }
}

/** After a sweep and a reconnect a lane looks without its bound, and after a reconnect also at what the log rests on. */
function rankOf(cause: WakeCause): number {
  return cause === 'reconnect' ? 2 : cause === 'sweep' ? 1 : 0
}
