import type { Pool } from 'pg'
import { corruptMessage, nameError, offsetOutOfRange } from '../kafka/name-error.ts'
import type { KafkaSession } from '../kafka/session.ts'
import { readNextOffsets, type PartitionPlace } from '../log/write/next-offsets.ts'
import { stopPartition } from '../log/write/stop-partition.ts'
import type { Metrics } from '../metrics.ts'
import type { Logger } from '../runtime/logger.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { Seldom } from '../runtime/seldom.ts'
import { wait } from '../runtime/wait.ts'
import { askUntilAnswered, retryDelayMs } from './ask-until-answered.ts'
import { explainCorrupt, type Fault } from './explain-stop.ts'
import type { Health } from './health.ts'
import { judgeRange } from './judge-position.ts'
import { newPlace, type Place } from './place.ts'
import { beginCounts } from './report.ts'

const warnEveryMs = 5_000
// Between two questions to a broker that refuses an offset and says that it has it, or cannot say what it has.
const doubtMs = 250
// What a disk misread once may be whole when it is read again, or come from another replica.
const corruptReadsMax = 3

export type AssignmentOptions = {
  readonly session: Pick<KafkaSession, 'pause' | 'resume' | 'seek' | 'readRange' | 'readCommitted'>
  readonly topic: string
  readonly actor: string
  readonly database: Pool
  readonly metrics: Metrics
  readonly logger: Logger
  readonly health: Health
  /** Ends every wait. */
  readonly signal: AbortSignal
}

/** Nobody else may write a place: every change goes with a pause, a seek or a resume, or is one of the verbs below. */
type Written = { -readonly [Field in keyof Place]: Place[Field] }

/**
 * The partitions this member of the group holds, and the one way in which each comes to be read: paused at once, its next
 * offset read from PostgreSQL for as long as that takes, sought, resumed. A join goes this way, and so does a partition whose
 * slice the database failed, whose offset the broker refused, or of which an operator decided. Nobody waits for PostgreSQL
 * inside kafkajs' loop, so the loop keeps up the heartbeat, and an outage of any length costs no membership.
 *
 * A join replaces all places; whatever still runs for an earlier one changes nothing any more.
 */
export class Assignment {
  readonly #options: AssignmentOptions
  readonly #announced = new Map<number, string>()
  readonly #tasks = new Set<Promise<void>>()
  readonly #warning = new Seldom(warnEveryMs)
  #places: ReadonlyMap<number, Written> = new Map()

  constructor(options: AssignmentOptions) {
    this.#options = options
  }

  /** Must be called in the same turn as the join: kafkajs awaits no listener, and fetches next. */
  join(partitions: readonly number[]): void {
    const { health, metrics, topic } = this.#options
    this.#places = new Map(partitions.map((partition) => [partition, newPlace(partition)]))
    health.assigned = [...partitions].sort((one, other) => one - other)
    if (health.state !== 'starting') health.state = 'rebalancing'
    metrics.consumerLag.reset()
    for (const partition of partitions) beginCounts(metrics, topic, partition)
    this.#options.session.pause(partitions)
    this.follow(this.#position([...this.#places.values()]))
  }

  /** Null if the partition is not this member's, or not to be read now. */
  find(partition: number): Place | null {
    const place = this.#places.get(partition)
    return place?.state === 'reading' ? place : null
  }

  /** Whether no join has replaced the place since it was found. */
  has(place: Place): boolean {
    return this.#places.get(place.partition) === place
  }

  /** All of them, also those that are not to be read now. */
  places(): Iterable<Place> {
    return this.#places.values()
  }

  /** Sends the client back to the next offset in PostgreSQL, or to the last record if that is not proven yet. */
  sendBack(place: Place): void {
    this.#write(place, (ours) => {
      this.#seek(ours)
      ours.sought = ours.next
    })
  }

  /** The topic is the one that was stored from, as far as its last record can show. */
  noteProven(place: Place): void {
    this.#write(place, (ours) => (ours.proof = null))
  }

  /** The client has come from where it was sent to. */
  noteFound(place: Place): void {
    this.#write(place, (ours) => (ours.sought = null))
  }

  /** PostgreSQL's answer to a slice says where the partition stands. */
  noteNext(place: Place, next: bigint): void {
    this.#write(place, (ours) => (ours.next = next))
  }

  /** The broker was asked for this long, and said nothing. */
  noteSilence(place: Place, ms: number): void {
    this.#write(place, (ours) => (ours.silentMs += ms))
  }

  /** Reads no further until the database answers again, and not before `settled`; then from where the database stands. */
  hold(place: Place, reason: string, settled: Promise<unknown> = Promise.resolve()): void {
    const { topic, logger, health, session } = this.#options
    this.#write(place, (ours) => {
      const { partition } = ours
      if (ours.state === 'reading') ours.state = 'held'
      ours.failures++
      health.state = 'waiting for the database'
      health.lastError = reason
      session.pause([partition])
      logger.warn({ topic, partition, reason, failures: ours.failures }, 'partition held')
      this.follow(this.#release(ours, ours.failures, settled))
    })
  }

  /** The database took a slice. */
  noteStored(place: Place): void {
    this.#write(place, (ours) => {
      if (ours.failures === 0) return
      ours.failures = 0
      this.#noteRunning()
    })
  }

  /** Stops the partition, which stands at `next`, for every instance until an operator decides. */
  stop(place: Place, next: bigint, fault: Fault): void {
    if (!this.has(place)) return
    this.halt(place, fault.reason)
    this.follow(this.#recordStop(place, next, fault))
  }

  /** Reads no further until the log has said where these stand. */
  reposition(places: readonly Place[]): void {
    const current = places.filter((place) => this.has(place))
    if (current.length === 0) return
    for (const place of current) this.#write(place, (ours) => (ours.state = 'held'))
    this.#options.session.pause(current.map(({ partition }) => partition))
    this.follow(this.#position(current))
  }

  /** The log may end elsewhere than it was seen to: what it has lost is fetched again, also where Kafka has nothing new. */
  repositionAll(): void {
    this.reposition([...this.#places.values()])
  }

  /** An operator may have decided. */
  reconsider(): void {
    this.reposition([...this.#places.values()].filter(({ state }) => state === 'stopped'))
  }

  /** The broker answered with an error for this partition. Reads no further until it may be asked again. */
  refuse(partition: number, errorCode: number): void {
    const place = this.#places.get(partition)
    if (place?.state !== 'reading') return
    place.state = 'held'
    place.refusals++
    place.refusal = nameError(errorCode)
    this.#options.session.pause([partition])
    const isOfRecords = errorCode === offsetOutOfRange || errorCode === corruptMessage
    this.follow(isOfRecords ? this.#settleDoubt(place, errorCode) : this.#release(place, place.refusals))
  }

  /** The broker answered with what it has from that offset on, if only with nothing. */
  answer(partition: number, highWatermark: bigint, from: bigint): void {
    const { metrics, topic } = this.#options
    const place = this.#places.get(partition)
    if (place === undefined || place.state === 'stopped') return
    place.refusals = 0
    place.refusal = null
    place.silentMs = 0
    // Of a partition without a record nothing is stored, and it has a lag all the same.
    const next = place.next ?? from
    metrics.consumerLag.set({ topic, partition }, Math.max(0, Number(highWatermark - next)))
  }

  /** Reads no further, because PostgreSQL says that the partition is stopped. */
  halt(place: Place, reason: string): void {
    const { topic, logger, metrics, session } = this.#options
    const { partition, incarnation, next } = place
    if (!this.#write(place, (ours) => (ours.state = 'stopped'))) return
    session.pause([partition])
    // Nobody asks any more how much there is.
    metrics.consumerLag.remove({ topic, partition })
    if (this.#announced.get(partition) === reason) return
    this.#announced.set(partition, reason)
    const nextOffset = next === null ? null : Number(next)
    logger.error({ topic, partition, incarnation, nextOffset, reason }, 'partition stopped')
  }

  /** Lets something go on in the background; `idle` waits for it. */
  follow(work: Promise<void>): void {
    const task = work
      // kafkajs throws at pause, seek and resume once the consumer has crashed; the next session begins with a join.
      .catch((error: unknown) => {
        this.#options.logger.debug({ reason: reasonOf(error) }, 'consumer gone')
      })
      .finally(() => this.#tasks.delete(task))
    this.#tasks.add(task)
  }

  /** Resolves when nothing runs in the background any more. */
  async idle(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks)
  }

  async #release(
    place: Place,
    failures: number,
    settled: Promise<unknown> = Promise.resolve(),
  ): Promise<void> {
    await settled.catch(() => undefined)
    await wait(retryDelayMs(failures), this.#options.signal)
    await this.#position([place])
  }

  async #settleDoubt(place: Place, errorCode: number): Promise<void> {
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
      // Of this one PostgreSQL cannot say where it begins.
      if (place.next === null && this.has(place)) session.seek(partition, next)
    } catch (error) {
      logger.warn({ topic, partition, reason: reasonOf(error) }, "the broker's range could not be read")
    }
    await wait(doubtMs, signal)
    await this.#position([place], low)
  }

  /** @param low the broker's first offset, as far as it is known: a record below it can prove nothing any more */
  async #position(places: readonly Place[], low = 0n): Promise<void> {
    const { database, topic } = this.#options
    const areCurrent = (): boolean => places.every((place) => this.has(place))
    const found = await this.#ask(() => readNextOffsets(database, topic), areCurrent)
    // Nothing below waits: a join cannot come in between.
    if (found === null || !areCurrent()) return
    for (const place of places) this.#write(place, (ours) => this.#goOn(ours, found.get(ours.partition), low))
    this.#noteRunning()
  }

  #goOn(place: Written, stored: PartitionPlace | undefined, low: bigint): void {
    const next = stored?.nextOffset ?? null
    const lastRecord = stored?.lastRecord ?? null
    // What seemed to fail was stored after all.
    if (next !== place.next) place.failures = 0
    place.incarnation = stored?.incarnation ?? 1
    place.next = next
    place.proof = lastRecord !== null && lastRecord.offset >= low ? lastRecord : null
    place.sought = null
    const stopped = stored?.stopped ?? null
    if (stopped !== null) this.halt(place, stopped)
    // One that this member has stopped stays so while that is being recorded.
    if (place.state === 'stopped') return
    place.state = 'reading'
    this.#resume(place)
  }

  /** A database that answers reads and refuses slices is still waited for. */
  #noteRunning(): void {
    const { health } = this.#options
    const isWaiting = ({ state, failures, refusal }: Place): boolean =>
      state !== 'stopped' && refusal === null && (state === 'held' || failures > 0)
    if ([...this.#places.values()].some(isWaiting)) return
    health.state = 'running'
    health.lastError = null
  }

  async #recordStop(place: Place, next: bigint, fault: Fault): Promise<void> {
    const { database, topic, actor } = this.#options
    const { partition, incarnation } = place
    const isStopped = await this.#ask(
      () => stopPartition(database, { topic, partition, incarnation, next, ...fault }, actor),
      () => true,
    )
    // It has moved on meanwhile, by another member's hand or an operator's.
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

  /** Every partition waits by itself and tries every second; an operator is told once in a while for all of them. */
  #warn(reason: string, failures: number): void {
    if (!this.#warning.due()) return
    this.#options.logger.warn({ topic: this.#options.topic, reason, failures }, 'waiting for the database')
  }

  /** Changes a place, unless a join has replaced it since it was found; says whether it did. */
  #write(place: Place, change: (ours: Written) => void): boolean {
    const ours = this.#places.get(place.partition)
    if (ours !== place) return false
    change(ours)
    return true
  }

  /** Where nothing is stored, kafkajs begins at the group's committed offset, or else at the earliest. */
  #resume(place: Place): void {
    const { session, topic, logger } = this.#options
    const { partition, incarnation, next } = place
    if (this.#announced.delete(partition))
      logger.info(
        { topic, partition, incarnation, nextOffset: next === null ? null : Number(next) },
        'partition goes on',
      )
    this.#seek(place)
    session.resume(partition)
  }

  #seek({ partition, next, proof }: Place): void {
    const from = proof?.offset ?? next
    if (from !== null) this.#options.session.seek(partition, from)
  }
}
