import { once } from 'node:events'
import type { Consumer } from 'kafkajs'
import type { Pool } from 'pg'
import { onUndecodable, type Undecodable } from '../kafka/answer/replace-decoder.ts'
import { onLostCoordinator } from '../kafka/cluster/keep-membership.ts'
import { noteStaleLeaders } from '../kafka/cluster/spare-others.ts'
import { watchAnswers } from '../kafka/cluster/watch-answers.ts'
import { createConsumer, createKafka, type KafkaOptions } from '../kafka/connect.ts'
import { readCommitted, readRange } from '../kafka/read-range.ts'
import { watchSilence } from '../kafka/watch-silence.ts'
import type { Metrics } from '../metrics.ts'
import type { Hint } from '../runtime/hint.ts'
import type { Logger } from '../runtime/logger.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { wait } from '../runtime/wait.ts'
import { Assignment } from './assignment.ts'
import { Committer } from './committer.ts'
import { explainUndecodable } from './explain-stop.ts'
import type { FreshLane } from './fresh-lane.ts'
import { handleBatch } from './handle-batch.ts'
import type { Health } from './health.ts'
import { watchUnread } from './watch-unread.ts'
import { watchWaiting } from './watch-waiting.ts'

export type ConsumeOptions = {
  readonly kafka: KafkaOptions
  readonly instance: string
  readonly maxRecordBytes: number
  readonly leaseMs: number
  readonly database: Pool
  readonly lane: FreshLane
  /** Given whenever an operator may have decided about a stopped partition. */
  readonly decisions: Pick<Hint, 'on'>
  /** Given when the log may end elsewhere than it was seen to. */
  readonly serverChanges: Pick<Hint, 'on'>
  readonly metrics: Metrics
  readonly logger: Logger
  readonly failpoint?: (name: string) => void
}

// So that one partition's slice is decoded while others' are stored, and a slow one does not hold up all.
const partitionsAtOnce = 4
// Of the whole cluster, and above what a join takes by itself: one broker that hangs is known and passed over long before.
const silenceMs = 30_000
// A slice in hand, its commits and a farewell to the group; the process has 10 s in all to end.
const leaveMs = 7_000
// Of it, for the last word on what is stored, if no slice is in hand.
const farewellMs = 1_000

/**
 * One life of a kafkajs consumer, with a client of its own, from connecting to leaving the group.
 *
 * @returns when `stopping` aborts: the slices in hand are stored, and the group is left
 * @throws what ended it otherwise; it is gone then, and the caller starts another
 */
export async function runSession(
  options: ConsumeOptions,
  health: Health,
  stopping: AbortSignal,
): Promise<void> {
  const { topic, groupId } = options.kafka
  const kafka = createKafka(options.kafka, options.instance, options.logger)
  const consumer = createConsumer(kafka, groupId, options.logger)
  const ended = new AbortController()
  const assignment = new Assignment({
    ...options,
    consumer,
    topic,
    readRange: (partition) => readRange(kafka, topic, partition),
    readCommitted: (partition) => readCommitted(kafka, groupId, topic, partition),
    actor: `${options.instance}/ingest`,
    health,
    signal: ended.signal,
  })
  const committer = new Committer(topic, options.logger, options.failpoint)
  const { heard, silent } = watchSilence(silenceMs, ended.signal)
  const over = Promise.race([crash(consumer), silent, once(stopping, 'abort', { signal: ended.signal })])
  const joined = watchUnread({ ...options, kafka, groupId, topic, health, signal: ended.signal })
  listen(consumer, topic, assignment, committer, health, heard, joined)
  const forgets = [
    onUndecodable((found) => {
      if (found.topic === topic) handleUndecodable(assignment, found)
    }),
    watchAnswers({
      topic,
      refused: (partition, errorCode) => {
        noteStaleLeaders(topic)
        assignment.refuse(partition, errorCode)
      },
      answered: (partition, highWatermark, from) => {
        heard()
        assignment.answer(partition, highWatermark, from)
      },
    }),
    onLostCoordinator((of, error) => {
      if (of === groupId) noteLostCoordinator(options, health, error)
    }),
    watchWaiting({ ...options, topic, consumer, assignment, health }),
    options.decisions.on(() => assignment.reconsider()),
    options.serverChanges.on(() => assignment.repositionAll()),
  ]
  const batches = {
    ...options,
    kafka,
    assignment,
    committer,
    failpoint: options.failpoint ?? (() => undefined),
  }
  try {
    const starting = start(consumer, topic, (payload) => handleBatch(batches, payload))
    await Promise.race([starting, over])
    await over
  } finally {
    for (const forget of forgets) forget()
    ended.abort()
    // A consumer that crashed has closed its connections, and must not open them again to commit.
    if (stopping.aborted) await inTime(committer.leave(), farewellMs)
    else committer.close()
    await leave(consumer, assignment, options.logger)
    committer.close()
    health.assigned = []
    health.unread = []
    health.waiting = []
    health.coordinatorError = null
  }
}

async function start(
  consumer: Consumer,
  topic: string,
  eachBatch: (payload: Parameters<typeof handleBatch>[1]) => Promise<void>,
): Promise<void> {
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    partitionsConsumedConcurrently: partitionsAtOnce,
    eachBatch,
  })
}

function listen(
  consumer: Consumer,
  topic: string,
  assignment: Assignment,
  committer: Committer,
  health: Health,
  heard: () => void,
  joined: (leaderId: string) => void,
): void {
  const { GROUP_JOIN, REBALANCING, HEARTBEAT } = consumer.events
  const hearCoordinator = (): void => {
    heard()
    health.coordinatorError = null
  }
  consumer.on(GROUP_JOIN, ({ payload }) => {
    hearCoordinator()
    const partitions = payload.memberAssignment[topic] ?? []
    assignment.join(partitions)
    committer.hold(partitions)
    joined(payload.leaderId)
  })
  consumer.on(REBALANCING, () => {
    health.state = 'rebalancing'
    // No batch is being handled now, and the request to join is not sent yet: what is lost by it is told before.
    void committer.flush()
  })
  // Not FETCH, which also comes of a fetch that failed.
  consumer.on(HEARTBEAT, hearCoordinator)
}

/** Partitions are read on meanwhile; only who reads which cannot change. */
function noteLostCoordinator({ kafka, logger }: ConsumeOptions, health: Health, error: unknown): void {
  const reason = reasonOf(error)
  if (health.coordinatorError === null)
    logger.warn({ groupId: kafka.groupId, reason }, "the group's coordinator does not answer")
  health.coordinatorError = reason
}

function handleUndecodable(assignment: Assignment, found: Undecodable): void {
  const place = assignment.find(found.partition)
  if (place === null) return
  if (place.next !== null && found.next <= place.next) {
    // All of it lies below: given up, or stored by a release that could read it. It proves nothing.
    place.proof = null
    assignment.sendBack(place)
    return
  }
  assignment.stop(place, place.next ?? found.first, explainUndecodable(found))
}

/** Rejects when kafkajs gives up; it restarts nothing by itself. */
function crash(consumer: Consumer): Promise<never> {
  return new Promise((_resolve, reject) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
  })
}

/** A broker that does not answer must not keep the process from ending. */
async function leave(consumer: Consumer, assignment: Assignment, logger: Logger): Promise<void> {
  try {
    await inTime(Promise.all([consumer.disconnect(), assignment.idle()]), leaveMs)
  } catch (error) {
    logger.debug({ reason: reasonOf(error) }, 'consumer left without a farewell')
  }
}

/** Waits for the work, but no longer than that. */
async function inTime(work: Promise<unknown>, ms: number): Promise<void> {
  const clock = new AbortController()
  try {
    await Promise.race([work, wait(ms, clock.signal)])
  } finally {
    clock.abort()
  }
}
