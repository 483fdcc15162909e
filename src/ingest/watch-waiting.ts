import type { Consumer } from 'kafkajs'
import { onLeaders, type Leaders } from '../kafka/cluster/watch-leaders.ts'
import type { Metrics } from '../metrics.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Assignment } from './assignment.ts'
import { findWaiting } from './find-waiting.ts'
import type { Health } from './health.ts'
import type { Place } from './place.ts'

export type WaitingOptions = {
  readonly topic: string
  readonly consumer: Pick<Consumer, 'on' | 'events'>
  readonly assignment: Assignment
  readonly health: Health
  readonly metrics: Metrics
  readonly logger: Logger
}

const tickMs = 1_000

/**
 * Shows which of this member's partitions Kafka keeps from being read, and says once when that begins and once when it ends; and
 * whether Kafka has the topic at all.
 * Each has a sign of life of its own: a fetch from one broker says nothing of what another one leads.
 *
 * @returns ends the watch
 */
export function watchWaiting({
  topic,
  consumer,
  assignment,
  health,
  metrics,
  logger,
}: WaitingOptions): () => void {
  let leaders: Leaders = new Map()
  const forget = onLeaders((of, found) => {
    if (of !== topic) return
    health.topicMissing = found === null
    leaders = found ?? new Map()
  })
  const asked = watchFetches(consumer)
  const timer = setInterval(() => {
    for (const place of assignment.places()) if (isAsked(place, leaders, asked)) place.silentMs += tickMs
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
  return () => {
    clearInterval(timer)
    forget()
  }
}

/** The brokers, by their ids, from which a fetch is under way: others have answered, and what came is being stored. */
function watchFetches(consumer: Pick<Consumer, 'on' | 'events'>): ReadonlySet<string> {
  const asked = new Set<string>()
  // kafkajs' types leave the node out.
  const nodeOf = (payload: object): string => String((payload as { nodeId: unknown }).nodeId)
  consumer.on(consumer.events.FETCH_START, ({ payload }) => void asked.add(nodeOf(payload)))
  consumer.on(consumer.events.FETCH, ({ payload }) => void asked.delete(nodeOf(payload)))
  return asked
}

/** Not those that wait for PostgreSQL, for an operator, or for others of the same answer to be stored. */
function isAsked({ partition, held, stopped }: Place, leaders: Leaders, asked: ReadonlySet<string>): boolean {
  const leader = leaders.get(partition)
  return !held && !stopped && (leader == null || asked.has(String(leader.nodeId)))
}
