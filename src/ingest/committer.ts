import type { Beginning } from '../kafka/read-begun.ts'
import type { Commit, Position } from '../kafka/fetched-batch.ts'
import type { Failpoint } from '../runtime/failpoint.ts'
import type { Logger } from '../runtime/logger.ts'
import { reasonOf } from '../runtime/reason-of.ts'

/** What the next commit tells Kafka, and the promise that its callers wait for. */
type Round = {
  readonly positions: Map<number, Position>
  readonly ended: Promise<boolean>
  readonly end: (isCommitted: boolean) => void
}

// A broker serves one request of a connection at a time. With one commit for each batch, fetches and
// heartbeats queued behind hundreds of commits a second, and payments waited for up to two seconds.
const everyMs = 1_000

/**
 * Tells Kafka how far the partitions are stored: the newest offset of all of them, at most once a second, one
 * commit at a time. At a revocation and on leaving the group it commits at once. The commit serves tools that
 * show lag, so it may fail, be late or be lost: PostgreSQL's next offset decides what is stored.
 *
 * It commits through the function that kafkajs hands over with each batch, which always acts for the present
 * membership. The consumer's own `commitOffsets` leaves the consumer dead after an eviction.
 */
export class Committer {
  readonly #topic: string
  readonly #logger: Logger
  readonly #failpoint: Failpoint
  #held: ReadonlySet<number> = new Set()
  #round = startRound()
  #commit: Commit | null = null
  #running = 0
  #startedAt = -Infinity
  #timer: NodeJS.Timeout | undefined
  #isLeaving = false

  constructor(topic: string, logger: Logger, failpoint: Failpoint) {
    this.#topic = topic
    this.#logger = logger
    this.#failpoint = failpoint
  }

  /** Whether every commit must now be made at once. */
  get isLeaving(): boolean {
    return this.#isLeaving
  }

  /** From now on commits for these partitions only. Another member may be ahead in the others. */
  hold(partitions: readonly number[]): void {
    this.#held = new Set(partitions)
    const before = this.#round
    this.#round = startRound()
    this.#takeBack(before.positions)
    before.end(false)
    this.#schedule()
  }

  /**
   * Notes that everything from `begins`, if that is known, to below `next` is stored. Resolves when the commit has ended: true if Kafka took it.
   */
  note(partition: number, next: bigint, commit: Commit, begins: Beginning | null = null): Promise<boolean> {
    if (!this.#held.has(partition)) return Promise.resolve(false)
    this.#round.positions.set(partition, { next, begins })
    this.#commit = commit
    const { ended } = this.#round
    if (this.#isLeaving) void this.flush()
    else this.#schedule()
    return ended
  }

  /** Commits now what is not committed yet. The request is sent before this call returns to kafkajs' loop. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const round = this.#round
    const commit = this.#commit
    if (round.positions.size === 0 || commit === null) return
    this.#round = startRound()
    this.#startedAt = performance.now()
    this.#running++
    const isCommitted = await this.#send(round.positions, commit)
    this.#running--
    // If no more records come for a partition, no later batch would bring its offset along.
    if (!isCommitted && !this.#isLeaving) this.#takeBack(round.positions)
    round.end(isCommitted)
    // The function keeps a batch with all its bytes in memory.
    if (this.#round.positions.size === 0) this.#commit = null
    this.#schedule()
  }

  /** From now on commits at once. */
  leave(): Promise<void> {
    this.#isLeaving = true
    return this.flush()
  }

  /** Commits nothing from now on. */
  close(): void {
    this.hold([])
    clearTimeout(this.#timer)
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#running > 0 || this.#round.positions.size === 0) return
    const waitMs = this.#startedAt + everyMs - performance.now()
    if (waitMs <= 0) void this.flush()
    else this.#timer = setTimeout(() => void this.flush(), waitMs)
  }

  async #send(positions: ReadonlyMap<number, Position>, commit: Commit): Promise<boolean> {
    this.#failpoint('offset.before_commit')
    try {
      await commit(positions)
    } catch (error) {
      const partitions = [...positions].map(([partition, { next }]) => ({ partition, next: Number(next) }))
      this.#logger.debug({ topic: this.#topic, partitions, reason: reasonOf(error) }, 'offsets not committed')
      return false
    }
    this.#failpoint('offset.after_commit')
    return true
  }

  /** Puts the offsets into the next commit, unless it already has a newer one for the partition. */
  #takeBack(positions: ReadonlyMap<number, Position>): void {
    for (const [partition, position] of positions)
      if (this.#held.has(partition) && !this.#round.positions.has(partition))
        this.#round.positions.set(partition, position)
  }
}

function startRound(): Round {
  let end: Round['end'] = () => undefined
  const ended = new Promise<boolean>((resolve) => {
    end = resolve
  })
  return { positions: new Map(), ended, end }
}
