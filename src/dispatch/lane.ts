import type { AttemptName, Claim } from '../log/write/to-claim.ts'
import { commitMsMax } from '../log/write/commit-ms-max.ts'
import type { LaneName } from '../message/message.ts'
import { Latch } from '../runtime/latch.ts'
import { sleptMs } from '../runtime/slept-ms.ts'
import { asleep, mostAhead, Wire, type OtherRequest, type WireOptions } from './wire.ts'

// The room of a transaction without an answer is kept at least this long: a statement may reach the server that much later than its
// connection seemed to break.
const unansweredMinMs = 1_000

/** Room that was set aside for attempts about to be started in a transaction. Ends by exactly one of its three calls. */
export type Reservation = {
  readonly room: number
  /**
   * The transaction is committed: these attempts are open. Room that they leave over is given back.
   *
   * @param isSent false if they end unsent; by default they do if the destination is held or paused, as far as is known here
   */
  start(claims: readonly Claim[], isSent?: boolean): void
  /** Nothing was started. */
  release(): void
  /** The transaction's answer was lost: attempts may be open in the log that nobody holds. */
  loseAnswer(): void
}

export type LaneOptions = Omit<WireOptions, 'onChange'> & { name: LaneName; instance: string }

/**
 * The room of one lane: how many attempts it may claim now. The requests under way use up the limit, and what waits for one to end uses
 * up what may be claimed ahead. Reservations for attempts about to be started, and those whose transaction got no answer, count
 * as waiting. An attempt whose outcome is only to be stored counts no more, except that `openMax` bounds all that is open in the log, from
 * the claim's commit to the commit of the outcome.
 */
export class Lane {
  readonly name: LaneName
  /** Who the events of this lane name: instance/lane. */
  readonly actor: string
  /** How many requests may be under way at once. */
  readonly limit: number
  /** How many attempts may be open in the log at once. */
  readonly openMax: number
  /** Why the last look failed; null if it did not. */
  lastError: string | null = null
  readonly #wire: Wire
  readonly #destination: LaneOptions['destination']
  readonly #open = new Set<string>()
  /** Those of them whose message was slow in its last attempt. */
  readonly #slow = new Set<string>()
  #unanswered: { room: number; since: number }[] = []
  readonly #waiting = new Set<() => void>()
  #reserved = 0
  /** Requests that are no attempts, of messages whose last attempt was slow. */
  #slowOthers = 0
  #idle = false
  #roomSince: number | null = performance.now()

  constructor({ name, instance, ...wire }: LaneOptions) {
    this.name = name
    this.actor = `${instance}/${name}`
    this.limit = wire.limit
    this.openMax = wire.limit + mostAhead(wire.limit)
    this.#destination = wire.destination
    this.#wire = new Wire({ ...wire, onChange: () => this.#noteChange() })
  }

  get room(): number {
    return this.#roomOf(this.capacity)
  }

  /** The room of this lane if it held nothing. */
  get capacity(): number {
    return this.#wire.room + this.#wire.ahead
  }

  /** How many requests are under way. */
  get sending(): number {
    return this.#wire.sending
  }

  /** How many were claimed ahead, and wait for a request to end. */
  get waiting(): number {
    return this.#wire.waiting
  }

  /** How many attempts are open in the log. */
  get open(): number {
    return this.#open.size
  }

  /**
   * How many it may claim now of messages whose last attempt was slow: together they hold half of the requests at most, so that
   * payments which always time out leave room to others.
   */
  get slowRoom(): number {
    return Math.max(0, Math.max(1, Math.floor(this.#wire.room / 2)) - this.#slow.size - this.#slowOthers)
  }

  /** performance.now() since when a request could have begun, without a break; null while none could. */
  get roomSince(): number | null {
    return this.#roomSince
  }

  /** Whether the last look left nothing due. New records may be started past the queue only then. */
  get idle(): boolean {
    return this.#idle
  }

  set idle(idle: boolean) {
    this.#idle = idle
    this.#noteChange()
  }

  /** Whether attempts may be open in the log that no lane holds, because the answer to their transaction was lost. */
  get hasUnanswered(): boolean {
    return this.#unanswered.length > 0
  }

  holds(attempt: AttemptName): boolean {
    return this.#open.has(keyOf(attempt))
  }

  /** What the lane holds now, to be asked later. */
  remember(): (attempt: AttemptName) => boolean {
    const held = new Set(this.#open)
    return (attempt) => held.has(keyOf(attempt))
  }

  /**
   * Sends a request that is no attempt when its turn comes. It takes room as an attempt does, until it has ended or is dropped.
   *
   * @param isSlow whether the last attempt of its message was slow
   * @param claimedAt on performance.now()'s clock: before its claim was issued
   * @param isSent false if it is dropped because the destination is held or paused
   * @returns once it has ended or was dropped
   */
  async request(
    { send, drop }: OtherRequest,
    isSlow: boolean,
    claimedAt: number,
    isSent: boolean,
  ): Promise<void> {
    const slow = isSlow ? 1 : 0
    this.#slowOthers += slow
    await new Promise<void>((end) => {
      const request = {
        send: () => send().finally(end),
        drop: (reason: string) => {
          drop(reason)
          end()
        },
      }
      this.#wire.addOther(request, claimedAt, isSent ? null : this.#destination.refusal)
      this.#noteChange()
    })
    this.#slowOthers -= slow
  }

  /** Sets aside what room there is, at most `max`. The leases of its attempts count from here, before their claim is issued. */
  reserve(max: number): Reservation {
    const room = Math.max(0, Math.min(max, this.room))
    const claimedAt = performance.now()
    const slept = sleptMs()
    this.#reserve(room)
    return {
      room,
      start: (claims, isSent) => {
        this.#reserve(-room)
        this.start(claims, claimedAt, isSent, slept)
      },
      release: () => this.#reserve(-room),
      loseAnswer: () => {
        if (room > 0) this.#unanswered.push({ room, since: performance.now() })
        this.#reserve(-room)
      },
    }
  }

  /**
   * @param claimedAt on performance.now()'s clock: before their claim was issued
   * @param isSent false if they end unsent; by default they do if the destination is held or paused
   * @param slept what sleptMs() said at that time: if the machine was suspended since, their leases are over, and they end unsent
   */
  start(
    claims: readonly Claim[],
    claimedAt: number,
    isSent = this.#destination.refusal === null,
    slept = sleptMs(),
  ): void {
    for (const claim of claims) {
      this.#open.add(keyOf(claim))
      if (claim.isSlow === true) this.#slow.add(keyOf(claim))
    }
    const refusal = isSent ? null : this.#destination.refusal
    this.#wire.add(claims, claimedAt, sleptMs() === slept ? refusal : asleep)
    this.#noteChange()
  }

  /** The destination has other room than before, or refuses what waits. */
  recheck(): void {
    this.#wire.recheck()
    this.#noteChange()
  }

  /** Sends nothing any more: what waits ends as not sent. */
  stop(reason: string): void {
    this.#wire.stop(reason)
  }

  /** The outcomes of these attempts are in the log. */
  close(attempts: readonly AttemptName[]): void {
    for (const attempt of attempts) {
      this.#open.delete(keyOf(attempt))
      this.#slow.delete(keyOf(attempt))
    }
    this.#noteChange()
  }

  /**
   * Gives back the room of those whose transaction can no longer come to be committed, and got no answer.
   *
   * @param askedAt on performance.now()'s clock
   * @param oldestMs the age of the server's oldest open transaction, read at `askedAt` or a moment later
   */
  dropUnanswered(askedAt: number, oldestMs: number): void {
    const keptMs = Math.min(Math.max(oldestMs, unansweredMinMs), commitMsMax)
    this.#unanswered = this.#unanswered.filter(({ since }) => askedAt - since <= keptMs)
    this.#noteChange()
  }

  /**
   * Resolves with the room as soon as a look is worth it: at once if a request could begin, and else when half of what may be claimed
   * ahead is free, because a look costs the same for one attempt as for many. Resolves earlier, with the room there is, after `ms`, when
   * the signal aborts, or when another answer is lost: its room may be all there is, and only the loop that waits here can get it
   * back (`adopt`).
   */
  async waitForRoom(signal: AbortSignal, ms?: number): Promise<number> {
    const known = this.#unanswered.length
    const isWorthIt = (): boolean =>
      this.room >= 1 && (this.waiting === 0 || this.room >= (this.capacity - this.limit) / 2)
    await this.#waitUntil(() => isWorthIt() || this.#unanswered.length > known, signal, ms)
    return this.room
  }

  /** Whether new records may be started past the queue now, so many at once. */
  keepsUp(wanted: number): boolean {
    return this.#idle && !this.hasUnanswered && this.room >= wanted
  }

  /** Resolves once `keepsUp(wanted)`, or after `ms`, or when the signal aborts. */
  async waitToKeepUp(wanted: number, signal: AbortSignal, ms: number): Promise<void> {
    await this.#waitUntil(() => this.keepsUp(wanted), signal, ms)
  }

  /** Resolves once no transaction is under way that may start attempts of this lane, or when the signal aborts. */
  async waitForAnswers(signal: AbortSignal): Promise<void> {
    await this.#waitUntil(() => this.#reserved === 0, signal)
  }

  /** Resolves once nothing is open or about to be, or after `ms`. */
  async waitForEnd(ms: number): Promise<void> {
    await this.#waitUntil(() => this.#open.size + this.#reserved === 0, never, ms)
  }

  async #waitUntil(condition: () => boolean, signal: AbortSignal, ms?: number): Promise<void> {
    if (condition() || signal.aborted) return
    const met = new Latch()
    const check = (): void => {
      if (!met.isOpen && condition()) met.open()
    }
    this.#waiting.add(check)
    await met.opened(signal, ms)
    this.#waiting.delete(check)
  }

  #reserve(room: number): void {
    this.#reserved += room
    this.#noteChange()
  }

  #roomOf(capacity: number): number {
    const unanswered = this.#unanswered.reduce((sum, { room }) => sum + room, 0)
    const free = capacity - this.sending - this.waiting
    return Math.min(free, this.openMax - this.#open.size) - this.#reserved - unanswered
  }

  #noteChange(): void {
    // Without what may be claimed ahead: that fades with time alone, and nothing would note it. A lane that the destination holds back has
    // no room of its own choice.
    if (this.#destination.room < Infinity || this.#roomOf(this.limit) <= 0) this.#roomSince = null
    else this.#roomSince ??= performance.now()
    for (const check of this.#waiting) check()
  }
}

const never = new AbortController().signal

/**
 * After a freeze a lane may hold an earlier attempt beside the open one, and after a failover one of another payment under the same
 * id and number.
 */
function keyOf({ messageId, attempt, leaseEndsAt }: AttemptName): string {
  return `${messageId}/${attempt}/${leaseEndsAt}`
}
