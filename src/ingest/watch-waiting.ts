import type { Leaders } from '../kafka/cluster/watch-leaders.ts'
import type { KafkaSession } from '../kafka/session.ts'
import type { Metrics } from '../metrics.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Assignment } from './assignment.ts'
import { findWaiting } from './find-waiting.ts'
import type { Health } from './health.ts'
import type { Place } from './place.ts'

export type WaitingOptions = {
  readonly topic: string
  readonly session: Pick<KafkaSession, 'isFetching'>
  readonly assignment: Assignment
  readonly health: Health
  readonly metrics: Metrics
  readonly logger: Logger
}

export type WaitingWatch = {
  /**
   * To be called with the leaders that Kafka names for the topic's partitions; null if Kafka has no such
   * topic. A partition that another broker leads now has to be proven anew.
   */
  leadersKnown(found: Leaders | null): void
  end(): void
}

const tickMs = 1_000

/**
 * Shows which of this member's partitions Kafka does not let it read, and logs once when that begins and once
 * when it ends. Also shows whether Kafka has the topic at all. Each partition has its own sign of life: a
 * fetch from one broker says nothing about partitions that another broker leads.
 */
export function watchWaiting({
  topic,
  session,
  assignment,
  health,
  metrics,
  logger,
}: WaitingOptions): WaitingWatch {
  let leaders: Leaders = new Map()
  const timer = setInterval(() => {
    for (const place of assignment.places())
      if (isAsked(place, leaders, session)) assignment.noteSilence(place, tickMs)
    const before = new Map(health.waiting.map((each) => [each.partition, each]))
    health.waiting = findWaiting(assignment.places(), leaders).map((each) => {
      const { waitingMs } = before.get(each.partition) ?? { waitingMs: 0 }
      return { ...each, waitingMs: waitingMs + tickMs }
    })
    for (const { partition, reason } of health.waiting) {
      // The last known lag may be too low by now.
      metrics.consumerLag.remove({ topic, partition })
      if (!before.delete(partition)) logger.warn({ topic, partition, reason }, 'partition waits for Kafka')
    }
    for (const [partition, { waitingMs }] of before)
      logger.info({ topic, partition, waiting_ms: waitingMs }, 'partition no longer waits for Kafka')
  }, tickMs)
  return {
    leadersKnown: (found) => {
      health.topicMissing = found === null
      const before = leaders
      leaders = found ?? new Map()
      const hasMoved = (partition: number): boolean => {
        const known = before.get(partition)
        return known !== undefined && known?.nodeId !== leaders.get(partition)?.nodeId
      }
      assignment.requireProof([...leaders.keys()].filter(hasMoved))
    },
    end: () => clearInterval(timer),
  }
}

/**
 * Whether the broker is being asked for the partition now. It is not while the partition waits for PostgreSQL
 * or for an operator, or while other parts of the same answer are being stored.
 */
function isAsked(
  { partition, state }: Place,
  leaders: Leaders,
  session: Pick<KafkaSession, 'isFetching'>,
): boolean {
  const leader = leaders.get(partition)
  return state === 'reading' && (leader == null || session.isFetching(partition, leader.nodeId))
}
