import type { GuardPolicy } from '../log/write/advance-destination.ts'
import type { Verdict } from '../message/verdict.ts'

// An outcome may be kept out of the log for long, by an operator's session that has locked its message. The others do not wait for it.
const patienceMs = 2_000

/** What the answers that came to this instance say against a destination, as long as the log may not have heard it. */
export class Suspicion {
  readonly #policy: Pick<GuardPolicy, 'holdAfter' | 'brakeAfter'>
  /** How many answers in a row were failures, and how many payments in a row were refused. */
  #failures = 0
  #refusals = 0
  /** Of both, how many are not in the log yet. */
  #unstored = 0
  /** How many of both have come since the start. */
  #noted = 0
  /** On performance.now()'s clock: when they became so many that the log may have to hold, or ceased to be. */
  #changedAt = 0

  constructor(policy: Pick<GuardPolicy, 'holdAfter' | 'brakeAfter'>) {
    this.#policy = policy
  }

  /** Whether the log may have to hold. Half of what it takes is enough: another instance may have seen the other half. */
  get mayBeHeld(): boolean {
    const { holdAfter, brakeAfter } = this.#policy
    return (
      (holdAfter > 0 && this.#failures >= holdAfter / 2) ||
      (brakeAfter > 0 && this.#refusals >= brakeAfter / 2)
    )
  }

  /**
   * What an answer said, before it is in the log.
   *
   * @returns whether `mayBeHeld` has changed
   */
  note(verdict: Verdict): boolean {
    if (verdict === 'none') return false
    const couldBeHeld = this.mayBeHeld
    this.#failures = verdict === 'failure' ? this.#failures + 1 : 0
    if (verdict === 'success') this.#refusals = 0
    else if (verdict === 'refusal') this.#refusals += 1
    if (mayHold(verdict)) {
      this.#unstored += 1
      this.#noted += 1
    }
    if (this.mayBeHeld === couldBeHeld) return false
    this.#changedAt = performance.now()
    return true
  }

  /**
   * These verdicts are in the log.
   *
   * @returns whether the guard may have to decide after them
   */
  noteStored(verdicts: readonly Verdict[]): boolean {
    const stored = verdicts.filter(mayHold).length
    this.#unstored -= stored
    return stored > 0
  }

  /**
   * To be called before the log is asked.
   *
   * @returns to be called after it has answered: whether it knew of all that is noted here. What has come meanwhile it did not know
   */
  ask(): () => boolean {
    const noted = this.#unstored === 0 ? this.#noted : null
    const isPatient = performance.now() - this.#changedAt <= patienceMs
    return () => noted === this.#noted || !isPatient
  }

  /** The log knows of them, and has decided what there is to decide. */
  forget(): void {
    this.#failures = 0
    this.#refusals = 0
  }
}

function mayHold(verdict: Verdict): boolean {
  return verdict === 'failure' || verdict === 'refusal'
}
