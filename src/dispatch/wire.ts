import type { Claim } from '../log/write/to-claim.ts'
import { sleptMs } from '../runtime/slept-ms.ts'
import type { Destination } from './destination.ts'
import { RecentRate } from './recent-rate.ts'

// At its present rate a lane claims ahead what it will send within this time: about twice what the transaction takes that claims. With
// 50 ms it fell behind on a machine with other work (77 in place of 67 µs of PostgreSQL a message, medians).
const aheadMs = 100
const aheadMax = 2_000
const aheadTimesMax = 10
// Of large payloads less is claimed ahead, because they wait in memory.
const aheadBytesMax = 32 * 1024 * 1024
// After an outage nothing is taken over for the timeout plus 5 s. The wait and the request together must fit into that time.
const waitMsMax = 3_000
// If the lease leaves less time than this to wait, nothing is claimed ahead: a busy moment would leave too much unsent.
const waitMsMin = 1_000
// A request ends this long before its lease at the latest. The settings keep the lease at least that much longer than the timeout.
const leaseMarginMs = 1_000
const expireEveryMs = 100

/** The most attempts that a lane claims ahead of its requests, however fast it sends. */
export function mostAhead(limit: number): number {
  return Math.min(aheadTimesMax * limit, aheadMax)
}

export type WireOptions = {
  /** How many requests may be under way at once. */
  limit: number
  /** How many of them the destination has room for now, and why it takes none that was claimed before; null if it takes them. */
  destination: Pick<Destination, 'room' | 'refusal' | 'isPaced'>
  leaseMs: number
  timeoutMs: number
  /** Sends one request; resolves when it has its outcome, and never rejects. `deadlineAt` is on performance.now()'s clock. */
  send: (claim: Claim, deadlineAt: number, waitedMs: number) => Promise<void>
  /** The attempt is not sent. */
  drop: (claim: Claim, reason: string) => void
  onChange: () => void
}

/** A request that is no attempt. */
export type OtherRequest = {
  /** Resolves when the request has ended, and never rejects. */
  send: () => Promise<void>
  /** It is not sent. */
  drop: (reason: string) => void
}

type Waiting = {
  readonly bytes: number
  readonly addedAt: number
  /** On performance.now()'s clock: after it the request is not sent any more. */
  readonly sendBy: number
  readonly deadlineMax: number
  /** What sleptMs() said when it was added: if the machine was suspended since, these times are wrong. */
  readonly slept: number
  readonly send: (deadlineAt: number, waitedMs: number) => Promise<void>
  readonly drop: (reason: string) => void
}

/**
 * The requests of one lane that are under way, and what waits for one of them to end, attempts and other requests, first come first
 * served. What waits was claimed ahead, so that the transactions that claim overlap with the requests.
 */
export class Wire {
  readonly #options: WireOptions
  readonly #waiting: Waiting[] = []
  readonly #recentRate = new RecentRate()
  #waitingBytes = 0
  #sending = 0
  #stopped: string | null = null
  #isExpiring = false

  constructor(options: WireOptions) {
    this.#options = options
  }

  get sending(): number {
    return this.#sending
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** How many requests may be under way now. */
  get room(): number {
    return Math.min(this.#options.limit, this.#options.destination.room)
  }

  /**
   * How many attempts may be claimed ahead at present. None if the lease leaves no time to wait, or the destination does not have room for
   * all requests, or has a pace: what is claimed there is sent at once. Less than a tenth of the limit is not
   * worth it: then the requests take so long that a claim in between costs next to nothing, and a slow processor has nothing waiting.
   */
  get ahead(): number {
    const { limit, leaseMs, timeoutMs, destination } = this.#options
    if (
      this.room < limit ||
      destination.isPaced ||
      leaseMs - leaseMarginMs - timeoutMs < waitMsMin ||
      this.#waitingBytes >= aheadBytesMax
    )
      return 0
    const ahead = Math.min(mostAhead(limit), Math.floor(this.#recentRate.within(aheadMs)))
    return ahead < limit / 10 ? 0 : ahead
  }

  /**
   * @param claimedAt on performance.now()'s clock: before their claim was issued, from when their leases count
   * @param refusal why they are not sent; null if they are
   */
  add(claims: readonly Claim[], claimedAt: number, refusal: string | null): void {
    const { leaseMs, timeoutMs, send, drop } = this.#options
    if (refusal !== null) {
      for (const claim of claims) drop(claim, refusal)
      return
    }
    const addedAt = performance.now()
    const slept = sleptMs()
    const deadlineMax = claimedAt + leaseMs - leaseMarginMs
    // What has waited leaves the processor its whole timeout. If the claim's own commit took that time, it may wait the usual moment
    // all the same.
    const waitMs = Math.min(waitMsMax, Math.max(aheadMs, deadlineMax - timeoutMs - addedAt))
    for (const claim of claims) {
      this.#push({
        bytes: claim.payload.length,
        addedAt,
        sendBy: addedAt + waitMs,
        deadlineMax,
        slept,
        send: (deadlineAt, waitedMs) => send(claim, deadlineAt, waitedMs),
        drop: (reason) => drop(claim, reason),
      })
    }
    this.#sendNext()
  }

  /**
   * Sends a request that is no attempt when its turn comes. Its lease must leave it the whole timeout.
   *
   * @param claimedAt on performance.now()'s clock: before its lease began
   * @param refusal why it is not sent; null if it is
   */
  addOther({ send, drop }: OtherRequest, claimedAt: number, refusal: string | null): void {
    if (refusal !== null) {
      drop(refusal)
      return
    }
    const { leaseMs, timeoutMs } = this.#options
    const addedAt = performance.now()
    const deadlineMax = claimedAt + leaseMs - leaseMarginMs
    const sendBy = Math.max(addedAt + aheadMs, deadlineMax - timeoutMs)
    this.#push({ bytes: 0, addedAt, sendBy, deadlineMax, slept: sleptMs(), send, drop })
    this.#sendNext()
  }

  #push(waiting: Waiting): void {
    this.#waiting.push(waiting)
    this.#waitingBytes += waiting.bytes
  }

  /** Sends nothing any more: what waits, and what is added later, is dropped. */
  stop(reason: string): void {
    this.#stopped ??= reason
    this.#sendNext()
  }

  /** Sends what the destination has room for, or drops what waits if the destination refuses it. */
  recheck(): void {
    const { refusal } = this.#options.destination
    if (refusal === null) {
      this.#sendNext()
      return
    }
    this.#waitingBytes = 0
    for (const { drop } of this.#waiting.splice(0)) drop(refusal)
  }

  #sendNext(): void {
    const { timeoutMs } = this.#options
    const sleptNow = sleptMs()
    while (this.#sending < this.room || this.#stopped !== null) {
      const first = this.#waiting.shift()
      if (first === undefined) return
      const { bytes, addedAt, sendBy, deadlineMax, slept, send, drop } = first
      const now = performance.now()
      this.#waitingBytes -= bytes
      if (this.#stopped !== null) drop(this.#stopped)
      else if (slept !== sleptNow) drop(asleep)
      else if (now > sendBy) drop(tooSlow)
      else if (now >= deadlineMax) drop(tooLate)
      else {
        this.#sending += 1
        void send(Math.min(now + timeoutMs, deadlineMax), now - addedAt).then(this.#end)
      }
    }
    if (this.#waiting.length > 0) this.#armExpiry()
  }

  readonly #end = (): void => {
    this.#sending -= 1
    this.#recentRate.note()
    this.#sendNext()
    this.#options.onChange()
  }

  /** One timer for all that waits. */
  #armExpiry(): void {
    if (this.#isExpiring) return
    this.#isExpiring = true
    setTimeout(() => {
      this.#isExpiring = false
      this.#dropExpired()
      if (this.#waiting.length > 0) this.#armExpiry()
    }, expireEveryMs)
  }

  /** Attempts that were adopted may have to go earlier than those that came before them. */
  #dropExpired(): void {
    const now = performance.now()
    const expired = this.#waiting.filter(({ sendBy }) => now > sendBy)
    if (expired.length === 0) return
    const left = this.#waiting.filter(({ sendBy }) => now <= sendBy)
    this.#waiting.splice(0, this.#waiting.length, ...left)
    for (const { bytes, drop } of expired) {
      this.#waitingBytes -= bytes
      drop(tooSlow)
    }
    this.#options.onChange()
  }
}

/** Another instance may have sent it long ago, and the processor have forgotten its key. */
export const asleep = 'this machine was suspended'
const tooSlow = 'the requests before it took too long'
// The database took that long to claim it, or to confirm the claim. The destination has no part in it.
const tooLate = 'its lease is nearly over'
