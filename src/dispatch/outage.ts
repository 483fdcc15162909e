import type { Pool } from 'pg'
import { readClock } from '../log/server/read-clock.ts'
import type { ServerWatch } from '../log/server/server-watch.ts'
import type { Lease } from '../log/write/lease.ts'

/**
 * Whether this instance cannot reach the database, or since when (by the database's clock) it can again. For a grace time after that no
 * lease is taken over: other instances were cut off too, and may hold in memory outcomes of payments that were carried out.
 */
export class Outage {
  readonly #leaseMs: number
  readonly #graceMs: number
  readonly #server: Pick<ServerWatch, 'recognize'>
  #reconnectedAt = '-infinity'
  #away = false

  constructor(leaseMs: number, timeoutMs: number, server: Pick<ServerWatch, 'recognize'>) {
    this.#server = server
    this.#leaseMs = leaseMs
    this.#graceMs = timeoutMs + 5_000
  }

  begin(): void {
    this.#away = true
  }

  /** Asks the database for its time if it was away; throws what pg throws while it still is. */
  async end(database: Pool): Promise<void> {
    if (!this.#away) return
    // Behind a pooler no connection of ours need have broken.
    await this.#server.recognize(database)
    this.#reconnectedAt = await readClock(database)
    this.#away = false
  }

  lease(): Lease {
    return { leaseMs: this.#leaseMs, graceMs: this.#graceMs, reconnectedAt: this.#reconnectedAt }
  }
}
