import type { Pool } from 'pg'
import type { Beginning, Begun } from '../kafka/read-begun.ts'
import { corruptMessage, nameError, offsetOutOfRange } from '../kafka/name-error.ts'
import type { KafkaSession } from '../kafka/session.ts'
import { readNextOffsets, type PartitionPlace, type TopicPlaces } from '../log/write/next-offsets.ts'
import { stopPartition } from '../log/write/stop-partition.ts'
import type { Metrics } from '../metrics.ts'
import type { Logger } from '../runtime/logger.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { retryDelayMs } from '../runtime/retry-delay-ms.ts'
import { Seldom } from '../runtime/seldom.ts'
import { wait } from '../runtime/wait.ts'
import { within } from '../runtime/within.ts'
import { askAgain, askUntilAnswered } from './ask-until-answered.ts'
import { explainCorrupt, explainForgotten, type StopFault } from './stop-fault.ts'
import type { Health } from './health.ts'
import { judgeRange } from './judge-position.ts'
import { newPlace, type Place } from './place.ts'
import { beginCounts } from './report.ts'

const warnEveryMs = 5_000
// The wait before a broker is asked again that refused an offset, if its range contains the offset or cannot
// be read.
const askRangeAgainMs = 250
// A second read may succeed: from the disk, or from another replica.
const corruptReadsMax = 3
const learnMsMax = 2_000

export type AssignmentOptions = {
  readonly session: Pick<
    KafkaSession,
    'pause' | 'resume' | 'seek' | 'readRange' | 'readCommitted' | 'readBegun'
  >
  readonly topic: string
  readonly actor: string
  readonly database: Pool
  readonly metrics: Metrics
  readonly logger: Logger
  readonly health: Health
  /** Aborting it ends every wait. */
  readonly signal: AbortSignal
}

/**
 * The writable form of a place. Only this class writes places: every change comes with a pause, a seek or a
 * resume, or is one of the methods below.
 */
type Written = { -readonly [Field in keyof Place]: Place[Field] }

/**
 * The partitions that this member of the group holds, and the one way in which each comes to be read: it is
 * paused at once, its next offset is read from PostgreSQL (for as long as that takes), then it is sought and
 * resumed. This happens at a join, after the database failed to store a slice, after the broker refused an
 * offset, and after an operator decided. Nothing waits for PostgreSQL inside kafkajs' loop. So the loop keeps
 * sending heartbeats, and an outage of any length does not cost the membership.
 *
 * A join replaces all places. Work that still runs for an earlier place then changes nothing any more.
 */
export class Assignment {
  readonly #options: AssignmentOptions
  readonly #announced = new Map<number, string>()
  readonly #tasks = new Set<Promise<void>>()
  readonly #warning = new Seldom(warnEveryMs)
  /** Where the log began with partitions that this session has held, so that a join forgets none. */
  readonly #begins = new Map<number, Beginning>()
  #places: ReadonlyMap<number, Written> = new Map()

  constructor(options: AssignmentOptions) {
    this.#options = options
  }

  /**
   * Must be called in the same turn of the event loop as the join: kafkajs does not wait for listeners, and
   * fetches next.
   */
  join(partitions: readonly number[]): void {
    const { health, metrics, topic } = this.#options
    this.#places = new Map(
      partitions.map((partition) => [partition, newPlace(partition, this.#begins.get(partition))]),
    )
    health.assigned = [...partitions].sort((one, other) => one - other)
    if (health.state !== 'starting') health.state = 'rebalancing'
    metrics.consumerLag.reset()
    for (const partition of partitions) beginCounts(metrics, topic, partition)
    this.#options.session.pause(partitions)
    this.follow(this.#position([...this.#places.values()]))
  }

  /** Null if this member does not hold the partition, or must not read it now. */
  find(partition: number): Place | null {
    const place = this.#places.get(partition)
    return place?.state === 'reading' ? place : null
  }

  /** Whether the place is still valid: no join has replaced it. */
  has(place: Place): boolean {
    return this.#places.get(place.partition) === place
  }

  /** All places, including those that must not be read now. */
  places(): Iterable<Place> {
    return this.#places.values()
  }

  /**
   * Has kafkajs fetch again from the next offset in PostgreSQL, or from the last stored record if that is
   * still to be checked.
   */
  sendBack(place: Place): void {
    this.#write(place, (ours) => {
      this.#seek(ours)
      ours.sought = ours.next
    })
  }

  /** The last stored record needs no further check: it matched, or it can no longer be checked. */
  noteProven(place: Place): void {
    this.#write(place, (ours) => (ours.proof = null))
  }

  /** kafkajs now fetches from the offset that it was sent back to. */
  noteFound(place: Place): void {
    this.#write(place, (ours) => (ours.sought = null))
  }

  /** PostgreSQL's answer to a slice named this next offset. */
  noteNext(place: Place, next: bigint): void {
    this.#write(place, (ours) => (ours.next = next))
  }

  /** Asks the log where the partition began: from then on a log that loses all of it is noticed. If it does not answer soon, it is asked again. */
  async learnBegins(place: Place): Promise<void> {
    const { database, topic } = this.#options
    const asked = readNextOffsets(database, topic).catch(() => null)
    const found = await within(asked, learnMsMax)
    if (found === null || typeof found === 'symbol') return
    this.#write(place, (ours) => this.#noteBegins(ours, found))
  }

  /** The broker was asked for the partition and has not answered for this much longer. */
  noteSilence(place: Place, ms: number): void {
    this.#write(place, (ours) => (ours.silentMs += ms))
  }

  /** The broker holds back what this client fetches of these partitions. The next answer ends it. */
  noteHeldBack(partitions: readonly number[]): void {
    for (const partition of partitions) {
      const place = this.#places.get(partition)
      if (place !== undefined) place.heldBackMs = place.silentMs
    }
  }

  /**
   * Stops reading until the database answers again, and at least until `pending` has ended. Then reads on
   * from the next offset in the database.
   */
  hold(place: Place, reason: string, pending: Promise<unknown> = Promise.resolve()): void {
    const { topic, logger, health, session } = this.#options
    this.#write(place, (ours) => {
      const { partition } = ours
      if (ours.state === 'reading') ours.state = 'held'
      ours.failures++
      health.state = 'waiting for the database'
      health.lastError = reason
      session.pause([partition])
      logger.warn({ topic, partition, reason, failures: ours.failures }, 'partition held')
      this.follow(this.#release(ours, ours.failures, pending))
    })
  }

  /** The database stored a slice. */
  noteStored(place: Place): void {
    this.#write(place, (ours) => {
      if (ours.failures === 0) return
      ours.failures = 0
      this.#noteRunning()
    })
  }

  /** Stops the partition at the offset `next`, for every instance, until an operator decides. */
  stop(place: Place, next: bigint, fault: StopFault): void {
    if (!this.has(place)) return
    this.halt(place, fault.reason)
    this.follow(this.#recordStop(place, next, fault))
  }

  /** Stops reading these partitions until their next offsets have been read from the log. */
  reposition(places: readonly Place[]): void {
    const current = places.filter((place) => this.has(place))
    if (current.length === 0) return
    for (const place of current) this.#write(place, (ours) => (ours.state = 'held'))
    this.#options.session.pause(current.map(({ partition }) => partition))
    this.follow(this.#position(current))
  }

  /**
   * To be called when the log may have lost its end: what it lost is fetched again, even where Kafka has
   * nothing new.
   */
  repositionAll(): void {
    this.reposition([...this.#places.values()])
  }

  /** To be called when an operator may have decided about a stopped partition. */
  reconsider(): void {
    this.reposition([...this.#places.values()].filter(({ state }) => state === 'stopped'))
  }

  /**
   * The broker answered with an error for this partition. Stops reading it until the broker may be asked
   * again.
   */
  refuse(partition: number, errorCode: number): void {
    const place = this.#places.get(partition)
    if (place?.state !== 'reading') return
    place.state = 'held'
    place.refusals++
    place.refusal = nameError(errorCode)
    this.#options.session.pause([partition])
    const concernsRecords = errorCode === offsetOutOfRange || errorCode === corruptMessage
    this.follow(
      concernsRecords ? this.#resolveRefusal(place, errorCode) : this.#release(place, place.refusals),
    )
  }

  /**
   * Another broker leads these partitions, or the same one has started again. It may have lost their end, and
   * taken other records at its offsets since: Kafka tells that only to clients that name the leader's epoch,
   * and kafkajs does not (KIP-320). So the last stored record is checked again, as at a join, once there is an
   * answer.
   */
  requireProof(partitions: readonly number[]): void {
    for (const partition of partitions) {
      const place = this.#places.get(partition)
      // Without a next offset nothing is stored, and with a proof it is checked already.
      if (place !== undefined && place.next !== null && place.proof === null) place.isProofDue = true
    }
  }

  /** The broker answered with what it has from that offset on, which may be nothing. */
  answer(partition: number, highWatermark: bigint, from: bigint): void {
    const { metrics, topic } = this.#options
    const place = this.#places.get(partition)
    if (place === undefined || place.state === 'stopped') return
    place.refusals = 0
    place.refusal = null
    place.silentMs = 0
    place.heldBackMs = null
    if (place.isProofDue && place.state === 'reading') {
      this.reposition([place])
      return
    }
    // A partition without records has nothing stored. It has a lag all the same.
    const next = place.next ?? from
    metrics.consumerLag.set({ topic, partition }, Math.max(0, Number(highWatermark - next)))
  }

  /** Stops reading a partition that PostgreSQL has stopped, or is about to. */
  halt(place: Place, reason: string): void {
    const { topic, logger, metrics, session } = this.#options
    const { partition, incarnation, next } = place
    if (!this.#write(place, (ours) => (ours.state = 'stopped'))) return
    session.pause([partition])
    // The partition is no longer fetched, so its lag is unknown.
    metrics.consumerLag.remove({ topic, partition })
    if (this.#announced.get(partition) === reason) return
    this.#announced.set(partition, reason)
    const nextOffset = next === null ? null : Number(next)
    logger.error({ topic, partition, incarnation, next_offset: nextOffset, reason }, 'partition stopped')
  }

  /** Tracks work in the background; `idle` waits for it. */
  follow(work: Promise<void>): void {
    const task = work
      // kafkajs throws on pause, seek and resume once the consumer has crashed. The next session begins with
      // a join.
      .catch((error: unknown) => {
        this.#options.logger.debug({ reason: reasonOf(error) }, 'consumer gone')
      })
      .finally(() => this.#tasks.delete(task))
    this.#tasks.add(task)
  }

  /** Resolves when no background work is left. */
  async idle(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks)
  }

  async #release(
    place: Place,
    failures: number,
    pending: Promise<unknown> = Promise.resolve(),
  ): Promise<void> {
    await pending.catch(() => undefined)
    await wait(retryDelayMs(failures, askAgain), this.#options.signal)
    await this.#position([place])
  }

  async #resolveRefusal(place: Place, errorCode: number): Promise<void> {
    const { session, topic, logger, signal } = this.#options
    const { partition } = place
    let low = 0n
    try {
      const range = await session.readRange(partition)
      low = range.low
      const next = place.next ?? (await session.readCommitted(partition)) ?? range.low
      const isCorrupt = errorCode === corruptMessage && place.refusals >= corruptReadsMax
      const fault =
        judgeRange({ topic, partition }, next, range) ??
        (isCorrupt ? explainCorrupt({ topic, partition }, next, nameError(errorCode)) : null)
      if (fault !== null) {
        this.stop(place, next, fault)
        return
      }
      // PostgreSQL does not know where this partition begins.
      if (place.next === null && this.has(place)) session.seek(partition, next)
    } catch (error) {
      logger.warn({ topic, partition, reason: reasonOf(error) }, "the broker's range could not be read")
    }
    await wait(askRangeAgainMs, signal)
    await this.#position([place], low)
  }

  /**
   * @param low the broker's first offset, as far as known: Kafka no longer has a record below it, so it
   *   cannot be checked
   */
  async #position(places: readonly Place[], low = 0n): Promise<void> {
    const { database, topic } = this.#options
    const areCurrent = (): boolean => places.every((place) => this.has(place))
    const read = async (): Promise<TopicPlaces | null> => {
      const answer = await this.#ask(() => readNextOffsets(database, topic), areCurrent)
      if (answer !== null)
        for (const place of places) this.#write(place, (ours) => this.#noteBegins(ours, answer))
      return answer
    }
    const isNew = ({ partition, begins }: Place, { places: known }: TopicPlaces): boolean =>
      begins === null && (known.get(partition)?.nextOffset ?? null) === null
    const first = await read()
    if (first === null) return
    const begun = places.some((place) => isNew(place, first))
      ? await this.#askKafka(areCurrent)
      : new Map<number, Begun>()
    if (begun === null) return
    // What was stored before Kafka was told of it can be seen now, if it could not before.
    const found = begun.size > 0 ? await read() : first
    // There is no await below, so no join can come in between.
    if (found === null || !areCurrent()) return
    const { logBeganAt, places: stored } = found
    const forgotten = (place: Place): Begun | null => {
      const known = isNew(place, found) ? begun.get(place.partition) : undefined
      // What another log has stored is nothing to this one: it begins where Kafka says.
      return known?.begins.logBeganAt === logBeganAt && known.next > known.begins.offset ? known : null
    }
    for (const place of places)
      this.#write(place, (ours) => this.#goOn(ours, stored.get(ours.partition), forgotten(ours), low))
    this.#noteRunning()
  }

  /** What this service has committed of partitions of which the log has nothing. */
  #askKafka(areCurrent: () => boolean): Promise<Map<number, Begun> | null> {
    const { session, topic, logger, signal } = this.#options
    const onFailure = (error: unknown, failures: number): void => {
      if (failures === 1)
        logger.warn({ topic, reason: reasonOf(error) }, "the group's offsets could not be read")
    }
    return askUntilAnswered(() => session.readBegun(), areCurrent, onFailure, signal)
  }

  /** @param forgotten what this log has stored of the partition according to Kafka, and knows nothing of; null if there is no such thing */
  #goOn(place: Written, stored: PartitionPlace | undefined, forgotten: Begun | null, low: bigint): void {
    // If the log has lost all of the partition, it is read again from where it began.
    const next = stored?.nextOffset ?? place.begins?.offset ?? null
    const lastRecord = stored?.lastRecord ?? null
    // The slice that seemed to fail was stored after all.
    if (next !== place.next) place.failures = 0
    place.incarnation = stored?.incarnation ?? 1
    place.next = next
    place.proof = lastRecord !== null && lastRecord.offset >= low ? lastRecord : null
    place.sought = null
    place.isProofDue = false
    const stopped = stored?.stopped ?? null
    if (stopped !== null) this.halt(place, stopped)
    else if (forgotten !== null) {
      const of = { topic: this.#options.topic, partition: place.partition }
      this.stop(place, forgotten.begins.offset, explainForgotten(of, forgotten))
    }
    // A partition that this member has stopped stays stopped while the stop is being recorded.
    if (place.state === 'stopped') return
    place.state = 'reading'
    this.#resume(place)
  }

  #noteBegins(place: Written, { logBeganAt, places }: TopicPlaces): void {
    const offset = places.get(place.partition)?.begins ?? null
    if (offset !== null) place.begins = { logBeganAt, offset }
    // Somebody has put a new log in the place of the one that began there.
    else if (place.begins?.logBeganAt !== logBeganAt) place.begins = null
    if (place.begins === null) this.#begins.delete(place.partition)
    else this.#begins.set(place.partition, place.begins)
  }

  /** The consumer still waits for a database that answers reads but refuses slices. */
  #noteRunning(): void {
    const { health } = this.#options
    const isWaiting = ({ state, failures, refusal }: Place): boolean =>
      state !== 'stopped' && refusal === null && (state === 'held' || failures > 0)
    if ([...this.#places.values()].some(isWaiting)) return
    health.state = 'running'
    health.lastError = null
  }

  async #recordStop(place: Place, next: bigint, fault: StopFault): Promise<void> {
    const { database, topic, actor } = this.#options
    const { partition, incarnation } = place
    const isStopped = await this.#ask(
      () => stopPartition(database, { topic, partition, incarnation, next, ...fault }, actor),
      () => true,
    )
    // The partition has moved on meanwhile: another member or an operator changed it.
    if (isStopped === false) this.reposition([place])
  }

  #ask<Answer>(ask: () => Promise<Answer>, isWanted: () => boolean): Promise<Answer | null> {
    const { health, signal } = this.#options
    const onFailure = (error: unknown, failures: number): void => {
      health.state = 'waiting for the database'
      health.lastError = reasonOf(error)
      this.#warn(health.lastError, failures)
    }
    return askUntilAnswered(ask, isWanted, onFailure, signal)
  }

  /**
   * Each partition waits on its own and tries every second. One warning from time to time speaks for all of
   * them.
   */
  #warn(reason: string, failures: number): void {
    if (!this.#warning.due()) return
    this.#options.logger.warn({ topic: this.#options.topic, reason, failures }, 'waiting for the database')
  }

  /** Changes a place, unless a join has replaced it. Returns whether it did. */
  #write(place: Place, change: (ours: Written) => void): boolean {
    const ours = this.#places.get(place.partition)
    if (ours !== place) return false
    change(ours)
    return true
  }

  /**
   * Where nothing is stored, kafkajs begins at the group's committed offset, or else at the earliest offset.
   */
  #resume(place: Place): void {
    const { session, topic, logger } = this.#options
    const { partition, incarnation, next } = place
    if (this.#announced.delete(partition))
      logger.info(
        { topic, partition, incarnation, next_offset: next === null ? null : Number(next) },
        'partition continues',
      )
    this.#seek(place)
    session.resume(partition)
  }

  #seek({ partition, next, proof }: Place): void {
    const from = proof?.offset ?? next
    if (from !== null) this.#options.session.seek(partition, from)
  }
}
