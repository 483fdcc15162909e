import type { Pool } from 'pg'
import type { Undecodable } from '../kafka/answer/replace-decoder.ts'
import type { KafkaOptions } from '../kafka/connect.ts'
import { KafkaSession, type SessionListener } from '../kafka/session.ts'
import type { Metrics } from '../metrics.ts'
import type { Failpoint } from '../runtime/failpoint.ts'
import type { Hint } from '../runtime/hint.ts'
import type { Logger } from '../runtime/logger.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { within } from '../runtime/within.ts'
import type { Tracing } from '../trace/tracing.ts'
import { Assignment } from './assignment.ts'
import { Committer } from './committer.ts'
import { explainUndecodable } from './stop-fault.ts'
import type { FreshLane } from './fresh-lane.ts'
import { handleBatch } from './handle-batch.ts'
import type { Health } from './health.ts'
import { watchUnread } from './watch-unread.ts'
import { watchUnreadLag } from './watch-unread-lag.ts'
import { watchWaiting, type WaitingWatch } from './watch-waiting.ts'

export type ConsumeOptions = {
  readonly kafka: KafkaOptions
  readonly instance: string
  readonly maxRecordBytes: number
  readonly leaseMs: number
  readonly database: Pool
  readonly lane: FreshLane
  /** Fires when an operator may have decided about a stopped partition. */
  readonly decisions: Pick<Hint, 'on'>
  /** Fires when the log may have lost its end, as after a failover. */
  readonly serverChanges: Pick<Hint, 'on'>
  /** Null if traces are off. */
  readonly tracing: Tracing | null
  readonly metrics: Metrics
  readonly logger: Logger
  readonly failpoint: Failpoint
}

// For a slice in hand, its commits and leaving the group. The process has 10 s in all to end.
const leaveMs = 7_000
// Part of it: for the last commit to Kafka, if no slice is in hand.
const farewellMs = 1_000

/** The parts that a session's events go to. */
type Parts = {
  readonly assignment: Assignment
  readonly committer: Committer
  readonly waiting: WaitingWatch
  /** Called at each join, with the leader's member id. */
  readonly joined: (leaderId: string) => void
}

/**
 * Reads the topic into the log during one membership of the group, from connecting to leaving.
 *
 * @returns when `stopping` aborts: the slices in hand are stored, and this member has left the group
 * @throws what else ended the session; the caller starts another
 */
export async function runSession(
  options: ConsumeOptions,
  health: Health,
  stopping: AbortSignal,
): Promise<void> {
  const { topic, groupId } = options.kafka
  const ended = new AbortController()
  const session = new KafkaSession(options.kafka, options.instance, options.logger)
  const committer = new Committer(topic, options.logger, options.failpoint)
  const shared = { ...options, session, topic, groupId, health, signal: ended.signal }
  const assignment = new Assignment({ ...shared, actor: `${options.instance}/ingest` })
  const waiting = watchWaiting({ ...shared, assignment })
  void watchUnreadLag({ ...shared, assignment })
  const parts: Parts = { assignment, committer, waiting, joined: watchUnread(shared) }
  const forgets = [
    options.decisions.on(() => assignment.reconsider()),
    options.serverChanges.on(() => assignment.repositionAll()),
  ]
  try {
    await session.run(listen(options, health, session, parts), stopping)
  } finally {
    for (const forget of forgets) forget()
    session.close()
    waiting.end()
    ended.abort()
    // A crashed consumer has closed its connections, and must not open them again to commit.
    if (stopping.aborted) await within(committer.leave(), farewellMs)
    else committer.close()
    await leave(session, assignment, options.logger)
    committer.close()
    health.assigned = []
    health.unread = []
    health.waiting = []
    health.coordinatorError = null
    health.group = null
  }
}

/** Passes each event of the session to the part that handles it. */
function listen(
  options: ConsumeOptions,
  health: Health,
  session: KafkaSession,
  { assignment, committer, waiting, joined }: Parts,
): SessionListener {
  const batches = { ...options, session, assignment, committer }
  return {
    joined: (partitions, leaderId) => {
      assignment.join(partitions)
      committer.hold(partitions)
      joined(leaderId)
    },
    rebalancing: () => {
      health.state = 'rebalancing'
      // The partitions that this member loses can be committed only before the next join.
      void committer.flush()
    },
    coordinatorAnswered: () => {
      health.coordinatorError = null
      health.heartbeatAt = new Date()
    },
    coordinatorLost: (error) => noteLostCoordinator(options, health, error),
    leadersKnown: (leaders) => waiting.leadersKnown(leaders),
    cut: (partitions) => assignment.requireProof(partitions),
    heldBack: (partitions) => assignment.noteHeldBack(partitions),
    answered: (partition, highWatermark, from) => {
      health.fetchedAt = new Date()
      assignment.answer(partition, highWatermark, from)
    },
    refused: (partition, errorCode) => assignment.refuse(partition, errorCode),
    undecodable: (found) => handleUndecodable(assignment, found),
    batch: (batch) => handleBatch(batches, batch),
  }
}

/** Partitions are still read meanwhile. Only their assignment cannot change. */
function noteLostCoordinator({ kafka, logger }: ConsumeOptions, health: Health, error: unknown): void {
  const reason = reasonOf(error)
  if (health.coordinatorError === null)
    logger.warn({ group_id: kafka.groupId, reason }, "the group's coordinator does not answer")
  health.coordinatorError = reason
}

function handleUndecodable(assignment: Assignment, found: Undecodable): void {
  const place = assignment.find(found.partition)
  if (place === null) return
  if (place.next !== null && found.next <= place.next) {
    // The whole batch is below the next offset: it was given up, or stored by a release that could decode it.
    // It proves nothing.
    assignment.noteProven(place)
    assignment.sendBack(place)
    return
  }
  assignment.stop(place, place.next ?? found.first, explainUndecodable(found))
}

/** Leaves the group within `leaveMs`: a broker that does not answer must not keep the process from ending. */
async function leave(session: KafkaSession, assignment: Assignment, logger: Logger): Promise<void> {
  try {
    await within(Promise.all([session.leave(), assignment.idle()]), leaveMs)
  } catch (error) {
    logger.debug({ reason: reasonOf(error) }, 'consumer left without a farewell')
  }
}
