import { Latch } from '../runtime/latch.ts'
import { wait } from '../runtime/wait.ts'
import { lockedEveryMs, OutcomeStore, type Finished, type StoreOptions } from './outcome-store.ts'

const batchMax = 500
// Long enough to gather the outcomes of one turn of the event loop. With 5 ms batches were larger (160 instead of 110), but there were 8 %
// fewer messages a second at a limit of 500. If no attempt is open any more, nothing is waited for.
const lingerMs = 1
// While one batch waits for its commit, a second one may be stored, if at least `besideMin` outcomes have finished meanwhile. A smaller one
// is not worth it: each batch by itself costs PostgreSQL as much as 25 outcomes.
const runsMax = 2
const besideMin = 150

/**
 * Brings the outcomes of one lane into the log, in batches: what finishes while one batch is being stored makes the next. It
 * decides when a batch is stored; `OutcomeStore` decides how. What is not stored yet stays in memory; there is never more of it than the
 * lane may have open.
 */
export class Settler {
  readonly #openCount: () => number
  readonly #outcomes: OutcomeStore
  readonly #stopped = new AbortController()
  #finished: Finished[] = []
  #storing = 0
  #running = 0
  readonly #runs = new Set<Promise<void>>()
  /** Opened when there is nothing left to linger for. */
  readonly #complete = new Latch()
  #isLingering = false

  /** @param openCount how many attempts of the lane are open */
  constructor({ openCount, ...options }: StoreOptions & { openCount: () => number }) {
    this.#openCount = openCount
    this.#outcomes = new OutcomeStore(options, (finished) => this.add(finished), this.#stopped.signal)
  }

  add(finished: Finished): void {
    this.#finished.push(finished)
    if (this.#isLingering && this.#isComplete()) this.#complete.open()
    if (this.#running < runsMax && !this.#isLingering && this.#isWorthOf(this.#running + 1)) this.#begin()
  }

  /** Whether outcomes are held over an outage of the database. They go into the log before anything new is claimed. */
  get behind(): boolean {
    return this.#outcomes.isHeldUp
  }

  /** Why outcomes wait; null while none does. */
  get lastError(): string | null {
    return this.#outcomes.lastError
  }

  /** Resolves when everything is stored, or after `ms` with what is not: how many. */
  async end(ms: number): Promise<number> {
    const timer = setTimeout(() => this.#stopped.abort(), ms)
    while (this.#runs.size > 0 || (this.#outcomes.hasLocked && !this.#stopped.signal.aborted)) {
      await (this.#runs.size > 0 ? Promise.all(this.#runs) : wait(lockedEveryMs / 10, this.#stopped.signal))
    }
    clearTimeout(timer)
    this.#stopped.abort()
    return this.#finished.length + this.#outcomes.unstored
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
      if (batch.length > 0) await this.#outcomes.store(batch)
      this.#storing -= batch.length
    }
    // Counted down here, in the same turn as the last look at the queue, and not when the promise resolves: in between, `add` and
    // the other run would count on a run that takes nothing any more.
    this.#running -= 1
  }

  /** Whether so many runs have enough to do: each batch costs what it costs, however small it is. */
  #isWorthOf(runs: number): boolean {
    return this.#finished.length >= (runs > 1 ? besideMin : 1)
  }

  /** Whether there is nothing to wait for: the batch is full, or no open attempt is still without its outcome. */
  #isComplete(): boolean {
    return (
      this.#finished.length >= Math.min(batchMax, this.#openCount() - this.#storing - this.#outcomes.aside)
    )
  }

  async #linger(): Promise<void> {
    if (this.#isComplete() || this.#isLingering) return
    this.#isLingering = true
    this.#complete.close()
    await this.#complete.opened(this.#stopped.signal, lingerMs)
    this.#isLingering = false
  }
}
