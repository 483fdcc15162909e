import { createHash } from 'node:crypto'
import type { Fault } from './faults.ts'
import type { Entry } from './ledger.ts'
import type { Options } from './options.ts'

/** What the processor remembers of an idempotency key. */
interface Known {
  sha256: string
  /** All of them, those before it was forgotten too. */
  requests: number
  /** When its first request came, by this machine's clock in milliseconds. */
  since: number
  /** The request that had the effect. */
  effect: Entry | undefined
}

export interface Verdict {
  /** For the ledger. */
  entry: Entry
  /**
   * The request whose success is the answer: this one, or the one that it repeats. Undefined for a failure.
   */
  success: Entry | undefined
  fault: Fault | undefined
}

/**
 * Decides the result of each request, without any side effect: at most one effect for a key, for the bytes
 * that came first, as long as the key is remembered. The seed, the key and the number of its requests decide the result, so a run can be
 * repeated with any timing. During a requested outage every request fails.
 */
export class Processor {
  requests = 0
  effects = 0
  readonly #options: Options
  readonly #known = new Map<string, Known>()
  /** The keys of all payments that were carried out. They are known for ever. */
  readonly #paid = new Map<string, Entry>()
  #outageEndsAt = 0
  /** On performance.now()'s clock: when the last requests came that were within the rate. */
  #served: number[] = []

  constructor(options: Options) {
    this.#options = options
  }

  /** Restores an entry of an earlier run. */
  recall(entry: Entry): void {
    this.requests += 1
    if (entry.effect) this.effects += 1
    if (entry.key === null) return
    const known = this.#know(entry.key, entry.sha256, Date.parse(entry.at))
    known.requests += 1
    if (entry.effect) known.effect = entry
    if (entry.effect) this.#paid.set(entry.key, entry)
  }

  /** The request by which the payment of a key was carried out; undefined if none was. Null during an outage. */
  find(key: string): Entry | undefined | null {
    return performance.now() < this.#outageEndsAt ? null : this.#paid.get(key)
  }

  /**
   * For this long every request gets the failure status and has no effect. A new outage replaces the current
   * one.
   */
  beginOutage(ms: number): void {
    this.#outageEndsAt = performance.now() + ms
  }

  decide(key: string | null, body: Buffer): Verdict {
    this.requests += 1
    const entry: Entry = {
      at: new Date().toISOString(),
      key,
      transaction_id: findTransactionId(body),
      sha256: createHash('sha256').update(body).digest('hex'),
      effect: false,
      status: 422,
    }
    // Without a key no repeat can be recognised: each request is new.
    const known =
      key === null ? newlyKnown(entry.sha256, Date.now()) : this.#know(key, entry.sha256, Date.now())
    known.requests += 1
    if (known.sha256 !== entry.sha256) return { entry, success: undefined, fault: undefined }
    if (this.#isAboveRate()) {
      entry.status = 429
      return { entry, success: undefined, fault: undefined }
    }
    const draw = (what: string) =>
      share([this.#options.seed, key ?? entry.sha256, known.requests, what].join('\0'))
    const fault = this.#pickFault(draw('fault'))
    entry.status = this.#pickStatus(fault, draw('success'), known.effect)
    if (entry.status < 200 || entry.status > 299) return { entry, success: undefined, fault }
    if (!known.effect) {
      entry.effect = true
      known.effect = entry
      if (key !== null) this.#paid.set(key, entry)
      this.effects += 1
    }
    return { entry, success: known.effect, fault }
  }

  /** Counts a request that is within the rate; no second has more of them, wherever it begins. */
  #isAboveRate(): boolean {
    const { rate } = this.#options
    if (rate === null) return false
    const now = performance.now()
    this.#served = this.#served.filter((at) => now - at < 1_000)
    if (this.#served.length >= rate) return true
    this.#served.push(now)
    return false
  }

  #know(key: string, sha256: string, at: number): Known {
    const remembered = this.#known.get(key)
    const { forgetAfterMs } = this.#options
    const isForgotten = forgetAfterMs !== null && at - (remembered?.since ?? at) >= forgetAfterMs
    // Its requests are counted on: otherwise whatever befell the first of them would befall the first after it was forgotten.
    const known =
      remembered === undefined || isForgotten ? newlyKnown(sha256, at, remembered?.requests) : remembered
    this.#known.set(key, known)
    return known
  }

  #pickFault(drawn: number): Fault | undefined {
    let upTo = 0
    for (const { fault, share } of this.#options.shares) {
      upTo += share
      if (drawn < upTo) return fault
    }
    return undefined
  }

  #pickStatus(fault: Fault | undefined, drawn: number, effect: Entry | undefined): number {
    if (fault?.effect === 'never') return 0
    if (performance.now() < this.#outageEndsAt) return this.#options.failureStatus
    if (fault?.effect === 'always') return effect?.status ?? 200
    if (this.#options.status !== undefined) return this.#options.status
    if (effect) return effect.status
    return drawn < this.#options.success ? 200 : this.#options.failureStatus
  }
}

function newlyKnown(sha256: string, since: number, requests = 0): Known {
  return { sha256, requests, since, effect: undefined }
}

function findTransactionId(body: Buffer): string | null {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    const id =
      value !== null && typeof value === 'object' && 'transaction_id' in value ? value.transaction_id : null
    return typeof id === 'string' ? id : null
  } catch {
    return null
  }
}

/** A number in [0, 1) that depends only on the text, evenly spread. */
export function share(text: string): number {
  return createHash('sha256').update(text).digest().readUIntBE(0, 6) / 2 ** 48
}
