const perMinuteMax = 60
const minuteMs = 60_000

/** How many exports a client may record in a minute: each leaves a row that nobody can remove, and every role may. */
export class ExportLimit {
  #minute = -1
  readonly #counts = new Map<string, number>()

  /** Counts one more, or says that there are too many already. */
  admit(client: string, nowMs = performance.now()): boolean {
    const minute = Math.floor(nowMs / minuteMs)
    if (minute !== this.#minute) this.#counts.clear()
    this.#minute = minute
    const count = this.#counts.get(client) ?? 0
    if (count >= perMinuteMax) return false
    this.#counts.set(client, count + 1)
    return true
  }
}
