import type { Commit } from '../kafka/fetched-batch.ts'
import type { Logger } from '../runtime/logger.ts'
import { reasonOf } from '../runtime/reason-of.ts'

/** What the next commit tells, and who waits for it. */
type Round = {
  readonly positions: Map<number, bigint>
  readonly ended: Promise<boolean>
  readonly end: (isCommitted: boolean) => void
}

// A broker serves one request of a connection at a time: with a commit for each batch, fetches and heartbeats queued up behind
// hundreds of commits a second, and payments waited for up to two.
const everyMs = 1_000

/**
 * Tells Kafka how far the partitions are stored: the newest position of all of them, at most once a second, one commit at a time;
 * at a revocation and on leaving at once. The commit is for tools that show lag, so that it may fail, lag or be lost:
 * what is stored is decided by PostgreSQL's next offset.
 *
 * It commits through what kafkajs hands to a batch, which always speaks for the present membership. The consumer's own
 * `commitOffsets` leaves the consumer dead after an eviction.
 */
export class Committer {
  readonly #topic: string
  readonly #logger: Logger
  readonly #failpoint: (name: string) => void
  #held: ReadonlySet<number> = new Set()
  #round = startRound()
  #commit: Commit | null = null
  #running = 0
  #startedAt = -Infinity
  #timer: NodeJS.Timeout | undefined
  #isLeaving = false

  constructor(topic: string, logger: Logger, failpoint: (name: string) => void = () => undefined) {
    this.#topic = topic
    this.#logger = logger
    this.#failpoint = failpoint
  }

  /** Whether nothing may be left for later. */
  get isLeaving(): boolean {
    return this.#isLeaving
  }

  /** Speaks for these partitions from now on; another member may be ahead in the others. */
  hold(partitions: readonly number[]): void {
    this.#held = new Set(partitions)
    const before = this.#round
    this.#round = startRound()
    this.#takeBack(before.positions)
    before.end(false)
    this.#schedule()
  }

  /** Says that all below `next` is stored. Resolves when Kafka has been told, or has not: which of them. */
  note(partition: number, next: bigint, commit: Commit): Promise<boolean> {
    if (!this.#held.has(partition)) return Promise.resolve(false)
    this.#round.positions.set(partition, next)
    this.#commit = commit
    const { ended } = this.#round
    if (this.#isLeaving) void this.flush()
    else this.#schedule()
    return ended
  }

  /** Tells Kafka now what it has not been told. It is sent before the call returns to kafkajs' loop. */
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
    // Of a partition that nothing more comes for, no other commit would tell.
    if (!isCommitted && !this.#isLeaving) this.#takeBack(round.positions)
    round.end(isCommitted)
    // It holds a batch with all its bytes.
    if (this.#round.positions.size === 0) this.#commit = null
    this.#schedule()
  }

  /** From now on everything is told at once. */
  leave(): Promise<void> {
    this.#isLeaving = true
    return this.flush()
  }

  /** Tells nothing any more. */
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

  async #send(positions: ReadonlyMap<number, bigint>, commit: Commit): Promise<boolean> {
    this.#failpoint('offset.before_commit')
    try {
      await commit(positions)
    } catch (error) {
      const partitions = [...positions].map(([partition, next]) => ({ partition, next: Number(next) }))
      this.#logger.debug({ topic: this.#topic, partitions, reason: reasonOf(error) }, 'offsets not committed')
      return false
    }
    this.#failpoint('offset.after_commit')
    return true
  }

  /** Has the next commit tell it, unless there is more to tell of the partition by now. */
  #takeBack(positions: ReadonlyMap<number, bigint>): void {
    for (const [partition, next] of positions)
      if (this.#held.has(partition) && !this.#round.positions.has(partition))
        this.#round.positions.set(partition, next)
  }
}

function startRound(): Round {
  let end: Round['end'] = () => undefined
  const ended = new Promise<boolean>((resolve) => {
    end = resolve
  })
  return { positions: new Map(), ended, end }
}
