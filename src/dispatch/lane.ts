import type { AttemptName, Claim } from '../log/write/claim.ts'
import { commitMsMax } from '../log/write/commit-ms-max.ts'
import type { Lane as LaneName } from '../message/message.ts'
import { Latch } from '../runtime/latch.ts'

// A doubt is kept at least this long: a statement may reach the server that much later than its connection seemed to break.
const doubtMinMs = 1_000

/** Room that was set aside for attempts about to be started in a transaction. Ends by exactly one of its three calls. */
export type Reservation = {
  readonly room: number
  /** The transaction is committed: these attempts are open. Room that they leave over is given back. */
  start(claims: readonly Claim[]): void
  /** Nothing was started. */
  release(): void
  /** The transaction's answer was lost: attempts may be open in the log that nobody holds. */
  doubt(): void
}

/**
 * The room of one lane. Three things use it up: the attempts that are open in the log (from the claim's commit to the commit of the
 * outcome), the reservations for attempts about to be started, and the reservations in doubt.
 */
export class Lane {
  readonly name: LaneName
  /** Who the events of this lane name: instance/lane. */
  readonly actor: string
  readonly limit: number
  /** Why the last look failed; null if it did not. */
  lastError: string | null = null
  readonly #begin: (claim: Claim, deadlineAt: number) => void
  readonly #timeoutMs: number
  readonly #open = new Set<string>()
  #doubts: { room: number; since: number }[] = []
  readonly #waiting = new Set<() => void>()
  #reserved = 0
  #idle = false
  #roomSince: number | null = performance.now()

  /** @param begin starts one attempt; it must end by close() */
  constructor(
    name: LaneName,
    instance: string,
    limit: number,
    timeoutMs: number,
    begin: (claim: Claim, deadlineAt: number) => void,
  ) {
    this.name = name
    this.actor = `${instance}/${name}`
    this.limit = limit
    this.#timeoutMs = timeoutMs
    this.#begin = begin
  }

  get room(): number {
    const doubted = this.#doubts.reduce((sum, { room }) => sum + room, 0)
    return this.limit - this.#open.size - this.#reserved - doubted
  }

  get open(): number {
    return this.#open.size
  }

  /** performance.now() since when there has been room without a break; null while there is none. */
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

  get doubtful(): boolean {
    return this.#doubts.length > 0
  }

  holds(attempt: AttemptName): boolean {
    return this.#open.has(keyOf(attempt))
  }

  /** What the lane holds now, to be asked later. */
  remember(): (attempt: AttemptName) => boolean {
    const held = new Set(this.#open)
    return (attempt) => held.has(keyOf(attempt))
  }

  /** Sets aside what room there is, at most `max`. The deadline of its attempts starts here, before their claim is issued. */
  reserve(max: number): Reservation {
    const room = Math.max(0, Math.min(max, this.room))
    const deadlineAt = this.deadlineAt(0)
    this.#reserve(room)
    return {
      room,
      start: (claims) => {
        this.#reserve(-room)
        this.start(claims, deadlineAt)
      },
      release: () => this.#reserve(-room),
      doubt: () => {
        if (room > 0) this.#doubts.push({ room, since: performance.now() })
        this.#reserve(-room)
      },
    }
  }

  /** The deadline, on performance.now()'s clock, of an attempt that was started so many milliseconds ago. */
  deadlineAt(startedMsAgo: number): number {
    return performance.now() + this.#timeoutMs - startedMsAgo
  }

  start(claims: readonly Claim[], deadlineAt: number): void {
    for (const claim of claims) this.#open.add(keyOf(claim))
    this.#noteChange()
    for (const claim of claims) this.#begin(claim, deadlineAt)
  }

  /** The outcomes of these attempts are in the log. */
  close(attempts: readonly AttemptName[]): void {
    for (const attempt of attempts) this.#open.delete(keyOf(attempt))
    this.#noteChange()
  }

  /**
   * Gives back the room of doubts whose transaction can no longer come to be committed.
   *
   * @param askedAt on performance.now()'s clock
   * @param oldestMs the age of the server's oldest open transaction, read at `askedAt` or a moment later
   */
  dropDoubts(askedAt: number, oldestMs: number): void {
    const keptMs = Math.min(Math.max(oldestMs, doubtMinMs), commitMsMax)
    this.#doubts = this.#doubts.filter(({ since }) => askedAt - since <= keptMs)
    this.#noteChange()
  }

  /**
   * Resolves with the room as soon as it reaches `wanted`. Resolves earlier, with the room there is, after `ms`, when the signal aborts,
   * or when a new doubt comes: a doubt may hold all the room, and only the loop that waits here can resolve it (`adopt`).
   */
  async waitForRoom(wanted: number, signal: AbortSignal, ms?: number): Promise<number> {
    const known = this.#doubts.length
    await this.#waitUntil(() => this.room >= wanted || this.#doubts.length > known, signal, ms)
    return this.room
  }

  /** Whether new records may be started past the queue now, so many at once. */
  keepsUp(wanted: number): boolean {
    return this.#idle && !this.doubtful && this.room >= wanted
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

  #noteChange(): void {
    if (this.room <= 0) this.#roomSince = null
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
