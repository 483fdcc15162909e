import type { Outcome } from '../message/outcome.ts'
import type { FoundReference } from '../message/reference.ts'
import { sleptMs } from '../runtime/slept-ms.ts'
import { classify, type AnswerStatuses } from './classify.ts'
import { explainBroken, explainNotSent } from './explain.ts'
import type { AnswerHeaders } from './header-values.ts'
import { refusalBehind } from './refused-certificate.ts'

/** What all attempts of one deliverer share. */
export type AttemptContext = {
  /** The attempts without an outcome. Each one adds and removes itself. */
  readonly open: Set<Attempt>
  readonly peer: string
  readonly secure: boolean
  readonly statuses: AnswerStatuses
  /** The reason of an attempt that ends at its deadline. */
  readonly timeoutReason: string
}

/** The connection that an attempt's bytes leave on: its answer's status and reference, once they are known, and its end. */
type Carrier = {
  readonly statusCode: number | null
  readonly reference: FoundReference | null | undefined
  drop(): void
}

/** The head as text, each character one byte (latin1), and the body. */
export type Request = { readonly head: string; readonly body: Buffer }

/** One HTTP request, from the call to its outcome. Its connection calls the methods as events happen. */
export class Attempt {
  readonly request: Request
  readonly deadlineAt: number
  readonly #context: AttemptContext
  readonly #resolve: (outcome: Outcome) => void
  readonly #slept = sleptMs()
  #hasEnded = false
  /** Not null: bytes may have left on it. */
  #connection: Carrier | null = null

  constructor(
    context: AttemptContext,
    request: Request,
    deadlineAt: number,
    resolve: (outcome: Outcome) => void,
  ) {
    this.#context = context
    this.request = request
    this.deadlineAt = deadlineAt
    this.#resolve = resolve
    context.open.add(this)
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /**
   * Ends the attempt now, for a reason of this service. The connection is dropped: otherwise the late answer
   * would be read as the next request's.
   */
  end(reason: string): void {
    const connection = this.#connection
    if (connection === null) {
      this.#finish({ kind: 'not_sent', reason: `${reason}, not sent` })
    } else {
      const { statusCode } = connection
      const answer = statusCode === null ? 'no answer' : `answer (HTTP ${statusCode}) not complete`
      this.#finish({ kind: 'unknown', statusCode, reason: `${reason}, sent, ${answer}` })
      connection.drop()
    }
  }

  expire(): void {
    this.end(this.#context.timeoutReason)
  }

  /**
   * The connection is about to write the request. From here on, its bytes may have left.
   *
   * @returns false if the attempt has ended and nothing may be written
   */
  begin(connection: Carrier): boolean {
    // Deadlines are checked every 50 ms. Between two checks nothing may be sent after a deadline.
    if (!this.#hasEnded && performance.now() >= this.deadlineAt) this.expire()
    // While a machine is suspended its deadlines stand still, and leases do not.
    if (!this.#hasEnded && sleptMs() !== this.#slept) this.end('this machine was suspended')
    if (this.#hasEnded) return false
    this.#connection = connection
    return true
  }

  /** The answer has come, and as much of its body as counts. */
  answer(statusCode: number, headers: AnswerHeaders): void {
    this.#finish(classify(statusCode, headers, this.#context.statuses))
  }

  /** The connection could not be made, or it broke before the end of the answer. */
  fail(error: Error): void {
    const { peer, secure } = this.#context
    const refusal = refusalBehind(error)
    if (this.#connection === null || refusal !== null) {
      this.#finish({ kind: 'not_sent', reason: explainNotSent(refusal ?? error, peer, secure) })
    } else {
      const { statusCode } = this.#connection
      this.#finish({ kind: 'unknown', statusCode, reason: explainBroken(error, statusCode) })
    }
  }

  #finish(outcome: Outcome): void {
    if (this.#hasEnded) return
    const reference = this.#connection?.reference
    this.#hasEnded = true
    this.#context.open.delete(this)
    this.#resolve(reference === undefined ? outcome : { ...outcome, reference })
  }
}
