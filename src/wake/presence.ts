const tickDefaultMs = 1_000

/** Three heartbeats of an instance (see listen): who has been silent for so long is frozen, or cut off. */
export const silenceTicks = 15

// An instance that is not heard any more is still listed for this long.
const rememberedMs = 600_000

/**
 * Which other instances are alive, by the heartbeats that the listener hears. No clock is compared: neither the database's, which
 * may step, nor that of the other machine. Ticks are counted instead of time, so that a long pause of this process, in which
 * nothing can be heard, is one tick and nobody's silence.
 */
export class Presence {
  readonly #silence = new Map<string, number>()
  readonly #heard = new Map<string, Date>()
  readonly #timer: NodeJS.Timeout
  #listened = 0

  constructor(tickMs = tickDefaultMs) {
    this.#timer = setInterval(() => this.#tick(), tickMs).unref()
  }

  /** The listener is up: from now on, who is not heard is silent. */
  begin(): void {
    this.#listened = 0
    this.#silence.clear()
  }

  hear(instance: string): void {
    this.#silence.set(instance, 0)
    this.#heard.set(instance, new Date())
  }

  /** When each instance was last heard that was in the last ten minutes, by the clock of this process. */
  get heard(): ReadonlyMap<string, Date> {
    return this.#heard
  }

  /** Whether the instance was heard lately; also true before anybody can tell. */
  mayLive(instance: string): boolean {
    return (this.#silence.get(instance) ?? this.#listened) < silenceTicks
  }

  end(): void {
    clearInterval(this.#timer)
  }

  #tick(): void {
    this.#listened += 1
    for (const [instance, at] of this.#heard)
      if (Date.now() - at.getTime() > rememberedMs) this.#heard.delete(instance)
    for (const [instance, ticks] of this.#silence) {
      // Forgotten once it says no more than that the instance was never heard.
      if (ticks + 1 >= silenceTicks) this.#silence.delete(instance)
      else this.#silence.set(instance, ticks + 1)
    }
  }
}
