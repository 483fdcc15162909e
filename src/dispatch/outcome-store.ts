import type { Pool } from 'pg'
import { classifyFault } from '../log/server/fault.ts'
import type { Claim } from '../log/write/to-claim.ts'
import { findUnlocked } from '../log/write/find-unlocked.ts'
import { keepStray } from '../log/write/keep-stray.ts'
import { settle, type SettleAnswer, type Settlement } from '../log/write/settle.ts'
import type { Logger } from '../runtime/logger.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { retryDelayMs } from '../runtime/retry-delay-ms.ts'
import { wait } from '../runtime/wait.ts'

/** An attempt that has its outcome. */
export type Finished = Settlement & {
  claim: Claim
  /** How long it waited for a request to end before it was sent, in milliseconds. */
  waitedMs: number
}

export type StoreOptions = {
  database: Pool
  actor: string
  logger: Logger
  /** The batch is in the log; an answer each. */
  onSettled: (batch: readonly Finished[], answers: readonly SettleAnswer[]) => void
  /** The database is away. */
  onOutage: () => void
  /** A failpoint's place. */
  beforeStore: () => void
}

// Between two tries to store a batch while the database is away.
const pause = { firstMs: 100, maxMs: 2_000 }
/** How often the database is asked whether messages that an operator's session has locked are free again. */
export const lockedEveryMs = 1_000
// How often outcomes that the log refuses are tried again, and how many at once: somebody has to mend the log first, and each is a
// statement of its own.
const refusedEveryMs = 5_000
const refusedAtOnce = 20

/** How one try to store a batch ended. */
type Try =
  | { readonly kind: 'stored'; readonly answers: readonly SettleAnswer[] }
  /** Nothing was stored: another session has locked a message of the batch. */
  | { readonly kind: 'locked' }
  /** Nothing was stored, or nobody knows: the database is away, or wants the batch again. */
  | { readonly kind: 'again' }
  /** Nothing was stored: the log refuses an outcome of the batch. */
  | { readonly kind: 'refused'; readonly error: unknown }

/**
 * Stores batches of outcomes, whatever it takes. While the database is away it tries the batch again for ever. An outcome whose
 * message another session has locked is put aside until the message is free, and one that the log refuses is put aside and
 * tried again; the others of the batch are stored. An outcome is never thrown away, because a payment that was accepted would be
 * sent again.
 */
export class OutcomeStore {
  readonly #options: StoreOptions
  readonly #onFree: (finished: Finished) => void
  readonly #stopped: AbortSignal
  #locked: Finished[] = []
  #refused: Finished[] = []
  #isRetryingRefused = false
  /** Outcomes whose refusal the service's log has told. */
  readonly #told = new WeakSet<Finished>()
  /** The batches that an outage holds up. The lanes claim nothing until the last of them is stored, not only the first. */
  readonly #heldUp = new Set<Finished[]>()
  #givenUp = 0
  #lastError: string | null = null

  /**
   * @param onFree the message of an outcome that was put aside is not locked any more: it is to be stored with others again
   * @param stopped nothing is tried again once it aborts
   */
  constructor(options: StoreOptions, onFree: (finished: Finished) => void, stopped: AbortSignal) {
    this.#options = options
    this.#onFree = onFree
    this.#stopped = stopped
  }

  /** Whether outcomes wait for an outage of the database to end. */
  get isHeldUp(): boolean {
    return this.#heldUp.size > 0
  }

  /** How many outcomes are put aside: locked or refused. */
  get aside(): number {
    return this.#locked.length + this.#refused.length
  }

  get hasLocked(): boolean {
    return this.#locked.length > 0
  }

  /** How many outcomes are not in the log and are in no running call of `store`: put aside, or given up at the stop. */
  get unstored(): number {
    return this.aside + this.#givenUp
  }

  /** Why outcomes wait; null while none does. */
  get lastError(): string | null {
    return this.#lastError
  }

  /** Resolves when each outcome of the batch is in the log, put aside, or given up because of the stop. */
  async store(batch: Finished[]): Promise<void> {
    for (let failures = 1; ; failures++) {
      const tried = await this.#tryOnce(batch)
      switch (tried.kind) {
        case 'stored':
          this.#options.onSettled(batch, tried.answers)
          return
        case 'refused':
          await this.#storeByHalves(batch, tried.error)
          return
        case 'locked':
          if (await this.#storeUnlocked(batch)) return
          break
        case 'again':
          break
      }
      if (!(await wait(retryDelayMs(failures, pause), this.#stopped))) {
        this.#givenUp += batch.length
        return
      }
    }
  }

  async #tryOnce(batch: Finished[]): Promise<Try> {
    const { database, actor, beforeStore } = this.#options
    try {
      beforeStore()
      const answers = await settle(database, actor, batch)
      for (const [at, each] of batch.entries())
        if (answers[at] === 'stray') await keepStray(database, actor, each, each.claim.payload)
      this.#heldUp.delete(batch)
      if (this.#heldUp.size + this.aside === 0) this.#lastError = null
      return { kind: 'stored', answers }
    } catch (error) {
      return this.#judge(batch, error)
    }
  }

  #judge(batch: Finished[], error: unknown): Try {
    const fault = classifyFault(error)
    if (fault === 'lost') this.#noteOutage(error, batch)
    // Any other error is an answer of the database, so there is no outage for this batch.
    else this.#heldUp.delete(batch)
    if (fault === 'locked') {
      this.#noteLocked(error, batch.length)
      return { kind: 'locked' }
    }
    return fault === 'data' || fault === 'broken' ? { kind: 'refused', error } : { kind: 'again' }
  }

  /** Finds the outcome that the log refuses by halving the batch, and stores the others. */
  async #storeByHalves(batch: Finished[], error: unknown): Promise<void> {
    const [only, ...more] = batch
    if (only !== undefined && more.length === 0) {
      this.#putRefusedAside(only, error)
      return
    }
    const half = Math.ceil(batch.length / 2)
    await this.store(batch.slice(0, half))
    await this.store(batch.slice(half))
  }

  #putRefusedAside(finished: Finished, error: unknown): void {
    const { attempt, outcome, claim } = finished
    this.#lastError = `the log does not take an outcome: ${reasonOf(error)}`
    if (!this.#told.has(finished)) {
      this.#options.logger.error(
        { transaction_id: claim.transactionId, attempt, outcome: outcome.kind, err: error },
        'outcome not taken by the log: it is kept and tried again',
      )
    }
    this.#told.add(finished)
    this.#refused.push(finished)
    if (!this.#isRetryingRefused) void this.#retryRefused()
  }

  /** What the log refuses again goes to the end of the queue. */
  async #retryRefused(): Promise<void> {
    this.#isRetryingRefused = true
    while (this.#refused.length > 0 && (await wait(refusedEveryMs, this.#stopped))) {
      const tries = Math.min(refusedAtOnce, this.#refused.length)
      for (let tried = 0; tried < tries; tried++) await this.store(this.#refused.splice(0, 1))
    }
    this.#isRetryingRefused = false
  }

  /**
   * Puts the locked outcomes aside and stores the others. False if that changes nothing: no message is locked any more, or the
   * database does not say which are.
   */
  async #storeUnlocked(batch: Finished[]): Promise<boolean> {
    const unlocked = await this.#findUnlocked(batch)
    if (unlocked === null || unlocked.length === batch.length) return false
    const isWatching = this.hasLocked
    this.#locked.push(...batch.filter((each) => !unlocked.includes(each)))
    if (!isWatching) void this.#watchLocked()
    if (unlocked.length > 0) await this.store(unlocked)
    return true
  }

  /** Hands outcomes back as soon as their messages are free. */
  async #watchLocked(): Promise<void> {
    while (this.#locked.length > 0 && (await wait(lockedEveryMs, this.#stopped))) {
      const unlocked = (await this.#findUnlocked(this.#locked)) ?? []
      this.#locked = this.#locked.filter((each) => !unlocked.includes(each))
      for (const each of unlocked) this.#onFree(each)
    }
  }

  /** Null if the database does not say. */
  async #findUnlocked(finished: readonly Finished[]): Promise<Finished[] | null> {
    try {
      const ids = finished.map(({ messageId }) => messageId)
      const unlocked = await findUnlocked(this.#options.database, ids)
      return finished.filter(({ messageId }) => unlocked.has(messageId))
    } catch {
      return null
    }
  }

  #noteLocked(error: unknown, outcomes: number): void {
    const { logger, actor } = this.#options
    const reason = reasonOf(error)
    if (this.#lastError === null) logger.warn({ actor, outcomes, reason }, 'outcomes wait for a lock')
    this.#lastError = reason
  }

  #noteOutage(error: unknown, batch: Finished[]): void {
    const { logger, actor, onOutage } = this.#options
    onOutage()
    const reason = reasonOf(error)
    this.#lastError = reason
    if (this.#heldUp.size === 0)
      logger.warn({ actor, outcomes: batch.length, reason }, 'outcomes wait for the database')
    this.#heldUp.add(batch)
  }
}
