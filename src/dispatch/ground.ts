import type { Pool } from 'pg'
import { inspectGround } from '../log/server/inspect-ground.ts'
import type { Logger } from '../runtime/logger.ts'

/**
 * Whether what the log rests on was there when it was last looked at. While it is not, no payment moves: nothing is stored,
 * and no attempt is started. Outcomes are still stored, if the log takes them.
 */
export class Ground {
  readonly #database: Pool
  readonly #logger: Logger
  #fault: string | null = null

  constructor(database: Pool, logger: Logger) {
    this.#database = database
    this.#logger = logger
  }

  /** In sentences; null if there is none. */
  get fault(): string | null {
    return this.#fault
  }

  /** Looks at it; throws what pg throws. */
  async inspect(): Promise<void> {
    const faults = await inspectGround(this.#database)
    const fault = faults.length === 0 ? null : faults.join(' ')
    if (fault !== null && fault !== this.#fault)
      this.#logger.error({ reason: fault }, 'the log lacks what it rests on: no payment is taken in or sent')
    if (fault === null && this.#fault !== null) this.#logger.info('the log has what it rests on again')
    this.#fault = fault
  }

  /** Throws while something is missing, and looks again each time, so that work goes on as soon as it is mended. */
  async require(): Promise<void> {
    if (this.#fault !== null) await this.inspect()
    this.refuse()
  }

  /** The same, without looking again. */
  refuse(): void {
    if (this.#fault !== null) throw new Error(this.#fault)
  }
}
