import type { Pool } from 'pg'
import { classifyFault } from '../log/server/fault.ts'
import type { Claim } from '../log/write/claim.ts'
import { findUnlocked } from '../log/write/find-unlocked.ts'
import { keepStray } from '../log/write/keep-stray.ts'
import { settle, type SettleAnswer, type Settlement } from '../log/write/settle.ts'
import type { Logger } from '../runtime/logger.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { retryDelayMs } from '../runtime/retry-delay.ts'
import { wait } from '../runtime/wait.ts'

export type Finished = Settlement & { claim: Claim }

const batchMax = 500
// Long enough for outcomes of one turn to gather. 5 ms made batches of 160 instead of 110 and 8 % fewer messages a second: the
// lane's limit is better spent on open requests than on outcomes that wait. None when all open attempts have finished.
const lingerMs = 1
// While one batch waits for its commit another is made of what has finished meanwhile; but not of little, because a batch costs
// PostgreSQL as much as 25 outcomes do.
const runsMax = 2
const besideMin = 150
const pause = { firstMs: 100, maxMs: 2_000 }
// How often it is asked whether messages that an operator's session has locked are free again.
const lockedEveryMs = 1_000
// How often outcomes that the log does not take are tried again, and how many at once: somebody has to mend the log first, and each
// is a statement of its own.
const refusedEveryMs = 5_000
const refusedAtOnce = 20

/**
 * Brings the outcomes of one lane into the log, in batches: what finishes while one batch is being stored makes the next.
 * Over an outage of the database it keeps them (the lane's limit bounds how many) and tries for ever. Those of messages that
 * another session has locked it keeps aside, so that they do not hold up the others, and those that the log does not take: an
 * outcome is never thrown away, because what was accepted would be sent again.
 */
export class Settler {
  readonly #database: Pool
  readonly #actor: string
  readonly #logger: Logger
  readonly #openCount: () => number
  readonly #onSettled: (batch: readonly Finished[], answers: readonly SettleAnswer[]) => void
  readonly #onOutage: () => void
  readonly #beforeStore: () => void
  readonly #stopped = new AbortController()
  #finished: Finished[] = []
  #locked: Finished[] = []
  #refused: Finished[] = []
  readonly #told = new WeakSet<Finished>()
  #watchesRefused = false
  #lastError: string | null = null
  #storing = 0
  #running = 0
  readonly #runs = new Set<Promise<void>>()
  /** Batches that an outage holds up. */
  readonly #held = new Set<Finished[]>()
  #endLinger: (() => void) | null = null

  /**
   * @param openCount how many attempts of the lane are open
   * @param onSettled the batch is in the log; an answer each
   * @param onOutage the database is away
   * @param beforeStore a failpoint's place
   */
  constructor(options: {
    database: Pool
    actor: string
    logger: Logger
    openCount: () => number
    onSettled: (batch: readonly Finished[], answers: readonly SettleAnswer[]) => void
    onOutage: () => void
    beforeStore: () => void
  }) {
    this.#database = options.database
    this.#actor = options.actor
    this.#logger = options.logger
    this.#openCount = options.openCount
    this.#onSettled = options.onSettled
    this.#onOutage = options.onOutage
    this.#beforeStore = options.beforeStore
  }

  add(finished: Finished): void {
    this.#finished.push(finished)
    if (this.#isComplete()) this.#endLinger?.()
    if (this.#running < runsMax && this.#endLinger === null && this.#isWorthOf(this.#running + 1))
      this.#begin()
  }

  /** Whether outcomes are held over an outage of the database. They go into the log before anything new is claimed. */
  get behind(): boolean {
    return this.#held.size > 0
  }

  /** Why outcomes wait; null while none does. */
  get lastError(): string | null {
    return this.#lastError
  }

  /** Resolves when everything is stored, or after `ms` with what is not: how many. */
  async end(ms: number): Promise<number> {
    const timer = setTimeout(() => this.#stopped.abort(), ms)
    while (this.#runs.size > 0 || (this.#locked.length > 0 && !this.#stopped.signal.aborted)) {
      await (this.#runs.size > 0 ? Promise.all(this.#runs) : wait(lockedEveryMs / 10, this.#stopped.signal))
    }
    clearTimeout(timer)
    this.#stopped.abort()
    return this.#finished.length + this.#locked.length + this.#refused.length
  }

  #begin(): void {
    this.#running += 1
    const run = this.#run().finally(() => this.#runs.delete(run))
    this.#runs.add(run)
  }

  async #run(): Promise<void> {
    while (this.#isWorthOf(this.#running) && !this.#stopped.signal.aborted) {
      await this.#linger()
      const batch = this.#finished.splice(0, batchMax)
      this.#storing += batch.length
      if (batch.length > 0) await this.#store(batch)
      this.#storing -= batch.length
    }
    // Here and not once the promise has ended: the other run must not count on this one.
    this.#running -= 1
  }

  /** Whether so many runs have enough to do: each batch costs what it costs, however small it is. */
  #isWorthOf(runs: number): boolean {
    return this.#finished.length >= (runs > 1 ? besideMin : 1)
  }

  /** Whether there is nothing to wait for: the batch is full, or no open attempt is still without its outcome. */
  #isComplete(): boolean {
    return this.#finished.length >= Math.min(batchMax, this.#openCount() - this.#storing - this.#aside)
  }

  get #aside(): number {
    return this.#locked.length + this.#refused.length
  }

  async #linger(): Promise<void> {
    if (this.#isComplete() || this.#endLinger !== null) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, lingerMs)
      this.#endLinger = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#endLinger = null
  }

  async #store(batch: Finished[]): Promise<void> {
    for (let failures = 1; ; failures++) {
      const stored = await this.#tryOnce(batch)
      if (stored === 'locked' && (await this.#setAsideLocked(batch))) return
      if (typeof stored !== 'string') {
        if ('error' in stored) await this.#bisect(batch, stored)
        else this.#onSettled(batch, stored)
        return
      }
      if (!(await wait(retryDelayMs(failures, pause), this.#stopped.signal))) {
        this.#finished.unshift(...batch)
        return
      }
    }
  }

  async #tryOnce(batch: Finished[]): Promise<SettleAnswer[] | Refused | 'locked' | 'away'> {
    try {
      this.#beforeStore()
      const answers = await settle(this.#database, this.#actor, batch)
      for (const [at, each] of batch.entries())
        if (answers[at] === 'stray') await keepStray(this.#database, this.#actor, each, each.claim.payload)
      this.#held.delete(batch)
      if (this.#held.size + this.#aside === 0) this.#lastError = null
      return answers
    } catch (error) {
      const fault = classifyFault(error)
      if (fault === 'lost') this.#noteOutage(error, batch)
      // Whatever else it says, the database has answered.
      else this.#held.delete(batch)
      if (fault === 'locked') {
        this.#noteLocked(error, batch.length)
        return 'locked'
      }
      if (fault !== 'data' && fault !== 'broken') return 'away'
      return { error }
    }
  }

  /** One outcome that the log does not take must not hold up the others; alone, it is kept until the log does. */
  async #bisect(batch: Finished[], refused: Refused): Promise<void> {
    const [only, ...more] = batch
    if (only !== undefined && more.length === 0) {
      this.#setAsideRefused(only, refused)
      return
    }
    const half = Math.ceil(batch.length / 2)
    await this.#store(batch.slice(0, half))
    await this.#store(batch.slice(half))
  }

  #setAsideRefused(finished: Finished, { error }: Refused): void {
    const { attempt, outcome, claim } = finished
    this.#lastError = `the log does not take an outcome: ${reasonOf(error)}`
    if (!this.#told.has(finished)) {
      this.#logger.error(
        { transaction_id: claim.transactionId, attempt, outcome: outcome.kind, err: error },
        'outcome not taken by the log: it is kept and tried again',
      )
    }
    this.#told.add(finished)
    this.#refused.push(finished)
    if (!this.#watchesRefused) void this.#watchRefused()
  }

  /** Tries again what the log did not take; what it does not take now either comes to stand last. */
  async #watchRefused(): Promise<void> {
    this.#watchesRefused = true
    while (this.#refused.length > 0 && (await wait(refusedEveryMs, this.#stopped.signal))) {
      const tries = Math.min(refusedAtOnce, this.#refused.length)
      for (let tried = 0; tried < tries; tried++) await this.#store(this.#refused.splice(0, 1))
    }
    this.#watchesRefused = false
  }

  /** Stores what is free; says false where that is nothing less, or where nobody can tell. */
  async #setAsideLocked(batch: Finished[]): Promise<boolean> {
    const free = await this.#findFree(batch)
    if (free === null || free.length === batch.length) return false
    const isWatched = this.#locked.length > 0
    this.#locked.push(...batch.filter((each) => !free.includes(each)))
    if (!isWatched) void this.#watchLocked()
    if (free.length > 0) await this.#store(free)
    return true
  }

  /** Brings back what was locked as soon as it is free. */
  async #watchLocked(): Promise<void> {
    while (this.#locked.length > 0 && (await wait(lockedEveryMs, this.#stopped.signal))) {
      const free = (await this.#findFree(this.#locked)) ?? []
      this.#locked = this.#locked.filter((each) => !free.includes(each))
      for (const each of free) this.add(each)
    }
  }

  /** Null if the database does not say. */
  async #findFree(finished: readonly Finished[]): Promise<Finished[] | null> {
    try {
      const free = await findUnlocked(
        this.#database,
        finished.map(({ messageId }) => messageId),
      )
      return finished.filter(({ messageId }) => free.has(messageId))
    } catch {
      return null
    }
  }

  #noteLocked(error: unknown, outcomes: number): void {
    const reason = reasonOf(error)
    if (this.#lastError === null)
      this.#logger.warn({ actor: this.#actor, outcomes, reason }, 'outcomes wait for a lock')
    this.#lastError = reason
  }

  #noteOutage(error: unknown, batch: Finished[]): void {
    this.#onOutage()
    const reason = reasonOf(error)
    this.#lastError = reason
    if (this.#held.size === 0)
      this.#logger.warn(
        { actor: this.#actor, outcomes: batch.length, reason },
        'outcomes wait for the database',
      )
    this.#held.add(batch)
  }
}

/** The database's word on a batch that it will not take as it is. */
type Refused = { readonly error: unknown }
