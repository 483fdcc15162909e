import type { Dispatcher } from 'undici'
import type { Outcome } from '../message/outcome.ts'
import { classify } from './classify.ts'
import { explainBroken, explainNotSent } from './explain.ts'
import { refusalBehind } from './refused-certificate.ts'

/** No answer needs more; a longer one is cut, its connection dropped, and its status counts. */
const answerMaxBytes = 64 * 1024

/** Interim answers (1xx) are skipped; a processor that sends so many of them will not send another. */
const interimMax = 100

/** What the attempts of one deliverer share. */
export type AttemptContext = {
  /** The attempts without an outcome; each enters and leaves by itself. */
  readonly open: Set<Attempt>
  readonly peer: string
  readonly secure: boolean
  readonly retryStatuses: (statusCode: number) => boolean
  /** Why an attempt ends at its deadline. */
  readonly timeoutReason: string
}

/**
 * One HTTP request from being asked for to its outcome; undici calls it back as things happen.
 *
 * undici's older handler (`onConnect` … `onError`) is used on purpose: the newer one is wrapped by undici in an object of
 * the older kind, with all headers of the answer parsed, for every request (measured: 1.9 to 3.5 µs of 17 to 26).
 *
 * **`onConnect` is where bytes begin to leave**: undici 7 calls it in the same turn as, and immediately before, the one
 * write of the request. Before it nothing was sent; after it the request may have arrived. undici repeats a request by
 * itself only if that call never came (its connection failed while the request was waiting for it).
 */
export class Attempt implements Dispatcher.DispatchHandler {
  readonly deadlineAt: number
  readonly #context: AttemptContext
  readonly #resolve: (outcome: Outcome) => void
  #settled = false
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

  get settled(): boolean {
    return this.#settled
  }

  /** Ends the attempt now, for a reason of ours. The connection is dropped, since its answer would be the next one's. */
  end(reason: string): void {
    if (this.#abort === null) {
      this.#settle({ kind: 'not_sent', reason: `${reason}, not sent` })
    } else {
      const answer =
        this.#statusCode === null ? 'no answer' : `answer (HTTP ${this.#statusCode}) not complete`
      this.#settle({ kind: 'unknown', statusCode: this.#statusCode, reason: `${reason}, sent, ${answer}` })
      this.#abort()
    }
  }

  expire(): void {
    this.end(this.#context.timeoutReason)
  }

  onConnect(abort: () => void): void {
    // The look at deadlines comes every 50 ms; nothing may be sent past one in between.
    if (!this.#settled && performance.now() >= this.deadlineAt) this.expire()
    if (this.#settled) abort()
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
    if (this.#answerBytes > answerMaxBytes && !this.#settled) {
      this.#answered()
      this.#abort?.()
    }
    return true
  }

  onComplete(): void {
    this.#answered()
  }

  onError(error: Error): void {
    if (this.#settled) return
    const { peer, secure } = this.#context
    const refusal = refusalBehind(error)
    if (this.#abort === null || refusal !== null) {
      this.#settle({ kind: 'not_sent', reason: explainNotSent(refusal ?? error, peer, secure) })
    } else {
      const reason = explainBroken(error, this.#statusCode)
      this.#settle({ kind: 'unknown', statusCode: this.#statusCode, reason })
    }
  }

  #answered(): void {
    this.#settle(classify(this.#statusCode ?? 0, this.#headers, this.#context.retryStatuses))
  }

  #settle(outcome: Outcome): void {
    if (this.#settled) return
    this.#settled = true
    this.#context.open.delete(this)
    this.#resolve(outcome)
  }
}
