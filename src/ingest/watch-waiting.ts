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
  readonly session: Pick<KafkaSession, 'fetching'>
  readonly assignment: Assignment
  readonly health: Health
  readonly metrics: Metrics
  readonly logger: Logger
}

export type WaitingWatch = {
  /** To be called with what Kafka says of who leads the topic's partitions; null where it has no such topic. */
  leadersKnown(found: Leaders | null): void
  end(): void
}

const tickMs = 1_000

/**
 * Shows which of this member's partitions Kafka keeps from being read, and says once when that begins and once when it ends; and
 * whether Kafka has the topic at all. Each partition has a sign of life of its own: a fetch from one broker says nothing of what
 * another one leads.
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
      if (isAsked(place, leaders, session.fetching)) assignment.noteSilence(place, tickMs)
    const before = new Map(health.waiting.map((each) => [each.partition, each]))
    health.waiting = findWaiting(assignment.places(), leaders).map((each) => {
      const { waitingMs } = before.get(each.partition) ?? { waitingMs: 0 }
      return { ...each, waitingMs: waitingMs + tickMs }
    })
    for (const { partition, reason } of health.waiting) {
      // What was true when it was last asked may be less than the truth.
      metrics.consumerLag.remove({ topic, partition })
      if (!before.delete(partition)) logger.warn({ topic, partition, reason }, 'partition waits for Kafka')
    }
    for (const [partition, { waitingMs }] of before)
      logger.info({ topic, partition, waitingMs }, 'partition waits for Kafka no more')
  }, tickMs)
  return {
    leadersKnown: (found) => {
      health.topicMissing = found === null
      leaders = found ?? new Map()
    },
    end: () => clearInterval(timer),
  }
}

/** Not those that wait for PostgreSQL, for an operator, or for others of the same answer to be stored. */
function isAsked({ partition, state }: Place, leaders: Leaders, fetching: ReadonlySet<string>): boolean {
  const leader = leaders.get(partition)
  return state === 'reading' && (leader == null || fetching.has(String(leader.nodeId)))
}
