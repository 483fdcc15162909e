import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'pg'
import { throttleDestination } from '../log/write/throttle-destination.ts'
import type { Logger } from '../runtime/logger.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { RecentRate } from './recent-rate.ts'

// After a decision that others were in the way of.
const retryMs = 500

export type ThrottlingOptions = {
  name: string
  database: Pool
  /** Who makes the guard's decisions: instance/guard. */
  actor: string
  logger: Logger
  /** The log has been told. */
  onTold: () => void
}

/** That the processor asked for less, from its answer to this instance until the log has told all instances. */
export class Throttling {
  readonly #options: ThrottlingOptions
  /** How often this instance sends. */
  readonly #recentRate = new RecentRate()
  /** On performance.now()'s clock: the processor asked to be left alone until then. */
  #notBefore = 0
  /** What is to be told. `sentAt` is on performance.now()'s clock. */
  #toTell: { sentAt: number; reason: string } | null = null
  #telling: Promise<void> | null = null
  #isStopped = false

  constructor(options: ThrottlingOptions) {
    this.#options = options
  }

  get isLeftAlone(): boolean {
    return performance.now() < this.#notBefore
  }

  /** Whether the log does not know all of it yet. */
  get isTelling(): boolean {
    return this.#telling !== null
  }

  /** Whether there is something that the log was not asked to record yet. */
  get isUntold(): boolean {
    return this.#toTell !== null
  }

  /** An attempt is sent. */
  noteSent(): void {
    this.#recentRate.note()
  }

  /** Nothing is to be sent for so long, by an answer to this instance or by the log. */
  leaveAlone(waitMs: number, from: number): void {
    this.#notBefore = Math.max(this.#notBefore, from + waitMs)
  }

  /** Tells the log. What comes meanwhile is told together. A decision that others were in the way of is tried again. */
  tell(sentAt: number, reason: string): void {
    this.#toTell = { sentAt: Math.max(sentAt, this.#toTell?.sentAt ?? 0), reason }
    this.#telling ??= this.#tellAll().finally(() => {
      this.#telling = null
      this.#options.onTold()
    })
  }

  /** Resolves once nothing is told any more. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#telling
  }

  async #tellAll(): Promise<void> {
    const { database, name, actor, logger } = this.#options
    while (this.#toTell !== null && !this.#isStopped) {
      const { sentAt, reason } = this.#toTell
      this.#toTell = null
      const now = performance.now()
      try {
        await throttleDestination(database, name, actor, {
          waitMs: Math.max(0, this.#notBefore - now),
          sentMsAgo: now - sentAt,
          rate: this.#recentRate.within(1_000),
          reason,
        })
      } catch (error) {
        logger.debug({ destination: name, reason: reasonOf(error) }, 'throttle not told')
        this.#toTell ??= { sentAt, reason }
        await sleep(retryMs)
      }
    }
  }
}
