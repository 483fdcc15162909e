import { createHash } from 'node:crypto'
import type { Fault } from './faults.ts'
import type { Entry } from './ledger.ts'
import type { Options } from './options.ts'

/** What is remembered of an idempotency key. */
interface Known {
  sha256: string
  requests: number
  /** The request that had the effect. */
  effect: Entry | undefined
}

export interface Verdict {
  /** For the ledger. */
  entry: Entry
  /** The request whose success is answered: this one, or the one that it repeats. Undefined for a failure. */
  success: Entry | undefined
  fault: Fault | undefined
}

/**
 * Decides what becomes of each request, without doing anything: at most one effect for a key, bound to the bytes that came
 * first. A request fares as the seed, its key and its count decide, so a run can be repeated whatever the timing; but while an
 * outage lasts that was asked for, every request fails.
 */
export class Processor {
  requests = 0
  effects = 0
  readonly #options: Options
  readonly #known = new Map<string, Known>()
  #outageEndsAt = 0

  constructor(options: Options) {
    this.#options = options
  }

  /** Takes up an entry of an earlier run. */
  recall(entry: Entry): void {
    this.requests += 1
    if (entry.effect) this.effects += 1
    if (entry.key === null) return
    const known = this.#know(entry.key, entry.sha256)
    known.requests += 1
    if (entry.effect) known.effect = entry
  }

  /** From now on, for so long, every request has the failure's status and no effect. Another outage takes the place of this one. */
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
    // Without a key nothing can be recognised: each request stands for itself.
    const known = key === null ? newlyKnown(entry.sha256) : this.#know(key, entry.sha256)
    known.requests += 1
    if (known.sha256 !== entry.sha256) return { entry, success: undefined, fault: undefined }
    const draw = (what: string) =>
      share([this.#options.seed, key ?? entry.sha256, known.requests, what].join('\0'))
    const fault = this.#pickFault(draw('fault'))
    entry.status = this.#pickStatus(fault, draw('success'), known.effect)
    if (entry.status < 200 || entry.status > 299) return { entry, success: undefined, fault }
    if (!known.effect) {
      entry.effect = true
      known.effect = entry
      this.effects += 1
    }
    return { entry, success: known.effect, fault }
  }

  #know(key: string, sha256: string): Known {
    const known = this.#known.get(key) ?? newlyKnown(sha256)
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

function newlyKnown(sha256: string): Known {
  return { sha256, requests: 0, effect: undefined }
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

/** A number in [0, 1) that is a function of the text, evenly spread. */
export function share(text: string): number {
  return createHash('sha256').update(text).digest().readUIntBE(0, 6) / 2 ** 48
}
