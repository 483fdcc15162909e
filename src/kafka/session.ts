import { once } from 'node:events'
import type { Consumer, EachBatchPayload, Kafka } from 'kafkajs'
import type { Logger } from '../runtime/logger.ts'
import { replaceDecoder, type Undecodable } from './answer/replace-decoder.ts'
import { fetcherOf, fetchersMax, sharesOf } from './cluster/fetch-apart.ts'
import { heedQuotas } from './cluster/heed-quotas.ts'
import { keepMembership } from './cluster/keep-membership.ts'
import { noteStaleLeaders } from './cluster/spare-others.ts'
import { watchAnswers } from './cluster/watch-answers.ts'
import { watchCuts } from './cluster/watch-cuts.ts'
import { watchLeaders, type Leaders } from './cluster/watch-leaders.ts'
import { readBegun, type Begun } from './read-begun.ts'
import { createConsumer, createKafka, type KafkaOptions } from './connect.ts'
import { toFetchedBatch, type FetchedBatch } from './fetched-batch.ts'
import { findUnread, type Unread } from './find-unread.ts'
import { readCommitted, readRange, readRanges, type BrokerRange } from './read-range.ts'
import { watchSilence } from './watch-silence.ts'

// The longest silence of the whole cluster. It is longer than a join. A single hung broker is detected and
// bypassed much sooner.
const silenceMs = 30_000

/**
 * The events of a session. All of them concern the session's own topic and group. After `close` none of the
 * brokers' answers comes; joins and batches may still come until `leave` has ended.
 */
export type SessionListener = {
  /**
   * This member now holds these partitions and no others. kafkajs fetches next: partitions that must not be
   * read have to be paused before this returns.
   */
  joined(partitions: readonly number[], leaderId: string): void
  /**
   * The group is about to assign its partitions again. No batch is being handled, and the request to join is
   * not sent yet.
   */
  rebalancing(): void
  /** The group's coordinator answered. */
  coordinatorAnswered(): void
  coordinatorLost(error: unknown): void
  /** Gets null if Kafka has no such topic. */
  leadersKnown(leaders: Leaders | null): void
  /** The leader of these partitions could not be reached, or is connected to again. What leads them now may have lost their end. */
  cut(partitions: readonly number[]): void
  /** These partitions are not asked for now, because the broker holds this client back by a quota. */
  heldBack(partitions: readonly number[]): void
  /** The broker answered with what it has of the partition from this offset on, which may be nothing. */
  answered(partition: number, highWatermark: bigint, from: bigint): void
  /**
   * The broker answered with an error. The partition must be paused before this returns, or kafkajs asks for
   * it again at once.
   */
  refused(partition: number, errorCode: number): void
  /**
   * The partition's next batch cannot be decoded. The partition must be paused before this returns, as above.
   */
  undecodable(found: Undecodable): void
  /**
   * Handles a batch; at most one a partition at a time. If it rejects, kafkajs fetches again, joins the group
   * again or gives up, as the error says.
   */
  batch(batch: FetchedBatch): Promise<void>
}

/**
 * The port to Kafka: one membership of a consumer group, with its own client. It hands over decoded batches;
 * each partition can be paused, resumed and sought. Everything that this service corrects in kafkajs is
 * behind this class.
 */
export class KafkaSession {
  readonly #topic: string
  readonly #groupId: string
  readonly #kafka: Kafka
  readonly #consumer: Consumer
  readonly #closed = new AbortController()
  /** The names of the fetchers that wait for an answer. */
  readonly #fetching = new Set<string>()
  /** By partition. */
  #shares: ReadonlyMap<number, number> = new Map()
  readonly #forgets: (() => void)[] = []

  constructor(options: KafkaOptions, instance: string, logger: Logger) {
    this.#topic = options.topic
    this.#groupId = options.groupId
    this.#kafka = createKafka(options, instance, logger)
    this.#consumer = createConsumer(this.#kafka, options.groupId, logger)
  }

  /**
   * Whether a fetch of this partition is waiting for the broker's answer. It is not while records of the last
   * answer are being stored.
   */
  isFetching(partition: number, nodeId: number): boolean {
    const share = this.#shares.get(partition)
    return share !== undefined && this.#fetching.has(fetcherOf(nodeId, share))
  }

  /**
   * Connects, joins the group and hands over batches.
   *
   * @returns when `stopping` aborts
   * @throws what else ended the session: kafkajs gave up, or Kafka has not answered for 30 s
   */
  async run(listener: SessionListener, stopping: AbortSignal): Promise<void> {
    const { heard, silent } = watchSilence(silenceMs, this.#closed.signal)
    const stopped = once(stopping, 'abort', { signal: this.#closed.signal })
    const over = Promise.race([this.#crash(), silent, stopped])
    this.#listenToGroup(listener, heard)
    this.#listenToAnswers(listener, heard)
    await Promise.race([this.#start(listener), over])
    await over
  }

  /** Reports no answer of a broker any more, and ends the waits of `run`. */
  close(): void {
    for (const forget of this.#forgets.splice(0)) forget()
    this.#closed.abort()
  }

  /** Leaves the group and closes all connections, once the batches in hand are handled. */
  leave(): Promise<void> {
    return this.#consumer.disconnect()
  }

  pause(partitions: readonly number[]): void {
    this.#consumer.pause([{ topic: this.#topic, partitions: [...partitions] }])
  }

  resume(partition: number): void {
    this.#consumer.resume([{ topic: this.#topic, partitions: [partition] }])
  }

  seek(partition: number, offset: bigint): void {
    this.#consumer.seek({ topic: this.#topic, partition, offset: offset.toString() })
  }

  /** The broker's range of a partition. */
  readRange(partition: number): Promise<BrokerRange> {
    return readRange(this.#kafka, this.#topic, partition)
  }

  /** The broker's ranges of all partitions of the topic. */
  readRanges(): Promise<Map<number, BrokerRange>> {
    return readRanges(this.#kafka, this.#topic)
  }

  /** The group's committed offset in Kafka; null if there is none. */
  readCommitted(partition: number): Promise<bigint | null> {
    return readCommitted(this.#kafka, this.#groupId, this.#topic, partition)
  }

  /** What this service has committed to Kafka, by partition. */
  readBegun(): Promise<Map<number, Begun>> {
    return readBegun(this.#kafka, this.#groupId, this.#topic)
  }

  /** The partitions that no member of the group reads; null while the group assigns its partitions. */
  findUnread(): Promise<Unread | null> {
    return findUnread(this.#kafka, this.#groupId, this.#topic)
  }

  async #start(listener: SessionListener): Promise<void> {
    await this.#consumer.connect()
    await this.#consumer.subscribe({ topic: this.#topic, fromBeginning: true })
    await this.#consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: fetchersMax,
      eachBatch: (payload: EachBatchPayload) => listener.batch(toFetchedBatch(payload)),
    })
  }

  /** Rejects when kafkajs gives up; it does not restart on its own. */
  #crash(): Promise<never> {
    return new Promise((_resolve, reject) => {
      this.#consumer.on(this.#consumer.events.CRASH, ({ payload }) => reject(payload.error))
    })
  }

  #listenToGroup(listener: SessionListener, heard: () => void): void {
    const { GROUP_JOIN, REBALANCING, HEARTBEAT } = this.#consumer.events
    const hearCoordinator = (): void => {
      heard()
      listener.coordinatorAnswered()
    }
    this.#consumer.on(GROUP_JOIN, ({ payload }) => {
      hearCoordinator()
      const assigned = payload.memberAssignment[this.#topic] ?? []
      this.#shares = sharesOf(assigned)
      listener.joined(assigned, payload.leaderId)
    })
    this.#consumer.on(REBALANCING, () => listener.rebalancing())
    this.#consumer.on(HEARTBEAT, hearCoordinator)
    this.#forgets.push(
      keepMembership((groupId, error) => {
        if (groupId === this.#groupId) listener.coordinatorLost(error)
      }),
    )
  }

  #listenToAnswers(listener: SessionListener, heard: () => void): void {
    // kafkajs' types do not declare `nodeId`.
    const nodeOf = (payload: object): string => String((payload as { nodeId: unknown }).nodeId)
    const { FETCH_START, FETCH } = this.#consumer.events
    this.#consumer.on(FETCH_START, ({ payload }) => void this.#fetching.add(nodeOf(payload)))
    this.#consumer.on(FETCH, ({ payload }) => void this.#fetching.delete(nodeOf(payload)))
    this.#forgets.push(
      replaceDecoder((found) => {
        if (found.topic === this.#topic) listener.undecodable(found)
      }),
      watchCuts((groupId, topic, partitions) => {
        if (groupId === this.#groupId && topic === this.#topic) listener.cut(partitions)
      }),
      heedQuotas((topic, partitions) => {
        if (topic === this.#topic) listener.heldBack(partitions)
      }),
      watchLeaders((topic, leaders) => {
        if (topic === this.#topic) listener.leadersKnown(leaders)
      }),
      watchAnswers({
        topic: this.#topic,
        refused: (partition, errorCode) => {
          noteStaleLeaders(this.#topic)
          listener.refused(partition, errorCode)
        },
        // The FETCH event is no sign of life: it also follows a failed fetch.
        answered: (partition, highWatermark, from) => {
          heard()
          listener.answered(partition, highWatermark, from)
        },
      }),
    )
  }
}
