import type { Pool } from 'pg'
import {
  advanceDestination,
  type DestinationState,
  type DestinationView,
  type GuardPolicy,
} from '../log/write/advance-destination.ts'
import type { Verdict } from '../message/verdict.ts'
import type { Logger } from '../runtime/logger.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { Suspicion } from './suspicion.ts'
import { Throttling } from './throttling.ts'

// Room doubles with each of these. The SQL function ramp_room does the same.
const stepMs = 1_000
// After a question that the database did not answer.
const retryMs = 500

export type DestinationOptions = {
  name: string
  database: Pool
  /** Who makes the guard's decisions: instance/guard. */
  actor: string
  policy: GuardPolicy
  /** The largest limit of a lane: a ramp ends when this much room is open. */
  limitMax: number
  logger: Logger
  /** Room, or the state, is another than before: whoever waits for either has to look again. */
  onChange: () => void
}

/**
 * The destination as this instance knows it. The log decides: each claim reads the state in its own transaction. What is known here
 * says how much to ask for, what to do with attempts that were claimed before a decision, and when a decision is due.
 */
export class Destination {
  readonly #options: DestinationOptions
  #decision = 0
  /** The decision that the service's log told last. */
  #toldDecision = 0
  #state: DestinationState = 'flowing'
  /** On performance.now()'s clock: when the state began. */
  #begunAt = performance.now()
  #isLimited = false
  #isThrottled = false
  readonly #throttling: Throttling
  readonly #suspicion: Suspicion
  #timer: NodeJS.Timeout | undefined
  #asking: Promise<void> | null = null
  #isAskedAgain = false
  #isStopped = false

  constructor(options: DestinationOptions) {
    this.#options = options
    this.#suspicion = new Suspicion(options.policy)
    this.#throttling = new Throttling({
      ...options,
      onTold: () => {
        this.check()
        options.onChange()
      },
    })
  }

  get state(): DestinationState {
    return this.#state
  }

  /** Whether only looks may start attempts, because each one takes a slot: there is a limit, or the processor asked for less. */
  get isPaced(): boolean {
    return this.#isLimited || this.#isThrottled
  }

  /** How many requests a lane may have under way at most, beside its own limit. */
  get room(): number {
    switch (this.#state) {
      case 'flowing':
        // Until the log knows of the wait, a look would claim what is not sent. And while so many fail that the log may have to hold, nothing
        // more is sent before it has said so: on a slow database that takes a while.
        return (this.#throttling.isTelling && this.#throttling.isLeftAlone) || this.#suspicion.mayBeHeld
          ? 0
          : Infinity
      case 'ramping':
        return 2 ** Math.max(0, Math.floor((performance.now() - this.#begunAt) / stepMs))
      // A lane looks all the same: it starts the probes, and ends what others left open.
      case 'held':
      case 'paused':
        return 1
    }
  }

  /** Why nothing is sent that was claimed before; null if it is. */
  get refusal(): string | null {
    const { name } = this.#options
    if (this.#state === 'held' || this.#state === 'paused') return `destination ${name} is ${this.#state}`
    return this.#throttling.isLeftAlone ? `destination ${name} asked to be left alone for a while` : null
  }

  /**
   * What a look found in the transaction that claimed.
   *
   * @returns whether what it claimed is sent. A decision that was made since may refuse it
   */
  see(found: { state: DestinationState; decision: number }): boolean {
    if (found.decision > this.#decision) {
      this.#enter(found.decision, found.state, 0)
      this.check()
    }
    return this.refusal === null || (found.decision === this.#decision && !this.#throttling.isLeftAlone)
  }

  /** An attempt is sent. */
  noteSent(): void {
    this.#throttling.noteSent()
  }

  /** What an answer said, before it is in the log. */
  noteVerdict(verdict: Verdict): void {
    if (!this.#suspicion.note(verdict)) return
    if (this.#suspicion.mayBeHeld) this.#armIn(retryMs)
    else this.#options.onChange()
  }

  /** These verdicts are in the log. */
  noteStored(verdicts: readonly Verdict[]): void {
    if (this.#suspicion.noteStored(verdicts) || this.#state !== 'flowing') this.check()
  }

  /**
   * The processor asked for less. Nothing that waits is sent here from now on; the log tells all instances.
   *
   * @param sentAt on performance.now()'s clock: when the attempt was sent that was answered so
   */
  throttle(waitMs: number, sentAt: number, reason: string): void {
    this.#throttling.leaveAlone(waitMs, performance.now())
    this.#isThrottled = true
    this.#throttling.tell(sentAt, reason)
    this.#options.onChange()
  }

  /** Makes the decision that is due, if one is, and reads how the destination stands. Calls that come meanwhile share the next answer. */
  check(): void {
    if (this.#isStopped) return
    if (this.#asking !== null) {
      this.#isAskedAgain = true
      return
    }
    this.#asking = this.#ask().finally(() => {
      this.#asking = null
      if (!this.#isAskedAgain) return
      this.#isAskedAgain = false
      this.check()
    })
  }

  /** Resolves once nothing is asked any more. */
  async stop(): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#timer)
    await Promise.all([this.#asking, this.#throttling.stop()])
  }

  async #ask(): Promise<void> {
    const { database, name, actor, policy } = this.#options
    try {
      const askedAt = performance.now()
      const known = this.#decision
      const knewAll = this.#suspicion.ask()
      const view = await advanceDestination(database, name, actor, policy, this.#rampMs)
      // A look may have found a later decision while this answer was under way.
      if (view.decision < this.#decision && this.#decision !== known) {
        this.#isAskedAgain = true
        return
      }
      if (view.decision !== this.#toldDecision) this.#tell(view)
      // A server that a failover put back may know fewer decisions than we do.
      this.#seePace(view, askedAt)
      if (view.decision !== this.#decision || view.state !== this.#state)
        this.#enter(view.decision, view.state, view.ageMs ?? 0)
      if (knewAll()) this.#forgetVerdicts()
      // A clock that was set back gives a negative age.
      if (view.ageMs !== null) this.#begunAt = askedAt - Math.max(0, view.ageMs)
      this.#arm(view)
      if (this.#suspicion.mayBeHeld) this.#armIn(retryMs)
    } catch (error) {
      // The lanes tell that the database is away.
      this.#options.logger.debug({ destination: name, reason: reasonOf(error) }, 'destination not read')
      this.#armIn(retryMs)
    }
  }

  #tell(view: DestinationView): void {
    this.#toldDecision = view.decision
    const { state, cause, actor, reason } = view
    const { name, logger } = this.#options
    const decided = { destination: name, decision: view.decision, cause, actor, reason }
    if (cause === 'rate' || cause === 'setting') {
      const limit = { rate_limit: view.rateLimit, rate_burst: view.rateBurst }
      logger.info({ ...decided, ...limit }, 'destination rate set')
      return
    }
    if (cause === 'throttled') {
      logger.warn(decided, 'destination throttled')
      return
    }
    if (cause === 'unthrottled') {
      logger.info(decided, 'destination not throttled')
      return
    }
    const line = { ...decided, until: view.until }
    switch (state) {
      case 'held':
        logger.warn(line, 'destination held')
        return
      case 'paused':
        logger.warn(line, 'destination paused')
        return
      case 'ramping':
        logger.info(line, 'destination ramping')
        return
      case 'flowing':
        logger.info(line, 'destination flowing')
        return
    }
  }

  #enter(decision: number, state: DestinationState, ageMs: number): void {
    this.#decision = decision
    // A decision about the pace alone leaves the state as it is.
    if (state !== this.#state) {
      this.#state = state
      this.#begunAt = performance.now() - ageMs
      this.#forgetVerdicts()
    }
    this.#options.onChange()
  }

  /** The log knows of them, and has decided what there is to decide. */
  #forgetVerdicts(): void {
    const couldBeHeld = this.#suspicion.mayBeHeld
    this.#suspicion.forget()
    if (couldBeHeld) this.#options.onChange()
  }

  #seePace(view: DestinationView, askedAt: number): void {
    const wasPaced = this.isPaced
    this.#isLimited = view.rateLimit !== null
    // What is still to be told is not in the log yet.
    this.#isThrottled = view.isThrottled || this.#throttling.isUntold
    if (view.notBeforeInMs !== null) this.#throttling.leaveAlone(view.notBeforeInMs, askedAt)
    if (this.isPaced !== wasPaced || this.#throttling.isLeftAlone) this.#options.onChange()
  }

  get #rampMs(): number {
    return Math.ceil(Math.log2(this.#options.limitMax)) * stepMs
  }

  #arm({ state, untilInMs, throttleEndsInMs }: DestinationView): void {
    clearTimeout(this.#timer)
    const intoStepMs = (performance.now() - this.#begunAt) % stepMs
    const ms = Math.min(
      state === 'ramping' ? stepMs - intoStepMs : Infinity,
      (state === 'paused' ? untilInMs : null) ?? Infinity,
      throttleEndsInMs ?? Infinity,
    )
    if (ms < Infinity) this.#armIn(ms)
  }

  #armIn(ms: number): void {
    if (this.#isStopped) return
    clearTimeout(this.#timer)
    // Node fires a longer timer at once.
    this.#timer = setTimeout(() => this.#wake(), Math.min(Math.max(ms, 0) + 1, 2 ** 31 - 1))
    this.#timer.unref()
  }

  #wake(): void {
    if (this.#state === 'ramping') this.#options.onChange()
    this.check()
  }
}
