import type { Dispatcher } from 'undici'
import type { Outcome } from '../message/outcome.ts'
import { classify } from './classify.ts'
import { explainBroken, explainNotSent } from './explain.ts'
import { refusalBehind } from './refused-certificate.ts'

/** No useful answer is longer. A longer answer is cut, its connection is dropped, and its status counts. */
const answerMaxBytes = 64 * 1024

/**
 * Interim answers (1xx) are skipped. After this many the attempt ends: a final answer is not expected any
 * more.
 */
const interimMax = 100

/** What all attempts of one deliverer share. */
export type AttemptContext = {
  /** The attempts without an outcome. Each one adds and removes itself. */
  readonly open: Set<Attempt>
  readonly peer: string
  readonly secure: boolean
  readonly retryStatuses: (statusCode: number) => boolean
  /** The reason of an attempt that ends at its deadline. */
  readonly timeoutReason: string
}

/**
 * One HTTP request, from the call to its outcome. undici calls the methods as events happen.
 *
 * undici's older handler interface (`onConnect` … `onError`) is used on purpose: undici wraps the newer one
 * in an object of the older kind, with all headers of the answer parsed, for every request (measured: 1.9 to
 * 3.5 µs of 17 to 26).
 *
 * **Bytes begin to leave at `onConnect`**: undici 7 calls it in the same turn as, and immediately before, the
 * single write of the request. Before that call nothing was sent; after it the request may have arrived.
 * undici repeats a request on its own only if that call never came, because the connection failed while the
 * request waited for it.
 */
export class Attempt implements Dispatcher.DispatchHandler {
  readonly deadlineAt: number
  readonly #context: AttemptContext
  readonly #resolve: (outcome: Outcome) => void
  #hasEnded = false
  #abort: (() => void) | null = null
  #statusCode: number | null = null
  #headers: readonly Buffer[] = []
  #interims = 0
  #answerBytes = 0

  constructor(context: AttemptContext, deadlineAt: number, resolve: (outcome: Outcome) => void) {
    this.#context = context
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
    if (this.#abort === null) {
      this.#finish({ kind: 'not_sent', reason: `${reason}, not sent` })
    } else {
      const answer =
        this.#statusCode === null ? 'no answer' : `answer (HTTP ${this.#statusCode}) not complete`
      this.#finish({ kind: 'unknown', statusCode: this.#statusCode, reason: `${reason}, sent, ${answer}` })
      this.#abort()
    }
  }

  expire(): void {
    this.end(this.#context.timeoutReason)
  }

  onConnect(abort: () => void): void {
    // Deadlines are checked every 50 ms. Between two checks nothing may be sent after a deadline.
    if (!this.#hasEnded && performance.now() >= this.deadlineAt) this.expire()
    if (this.#hasEnded) abort()
    else this.#abort = abort
  }

  onHeaders(statusCode: number, headers: Buffer[]): boolean {
    if (statusCode < 200) {
      this.#interims += 1
      if (this.#interims > interimMax) this.end(`over ${interimMax} interim answers`)
      return true
    }
    this.#statusCode = statusCode
    this.#headers = headers
    return true
  }

  onData(chunk: Buffer): boolean {
    this.#answerBytes += chunk.length
    if (this.#answerBytes > answerMaxBytes && !this.#hasEnded) {
      this.#answered()
      this.#abort?.()
    }
    return true
  }

  onComplete(): void {
    this.#answered()
  }

  onError(error: Error): void {
    if (this.#hasEnded) return
    const { peer, secure } = this.#context
    const refusal = refusalBehind(error)
    if (this.#abort === null || refusal !== null) {
      this.#finish({ kind: 'not_sent', reason: explainNotSent(refusal ?? error, peer, secure) })
    } else {
      const reason = explainBroken(error, this.#statusCode)
      this.#finish({ kind: 'unknown', statusCode: this.#statusCode, reason })
    }
  }

  #answered(): void {
    this.#finish(classify(this.#statusCode ?? 0, this.#headers, this.#context.retryStatuses))
  }

  #finish(outcome: Outcome): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#context.open.delete(this)
    this.#resolve(outcome)
  }
}
