import type { Pool } from 'pg'
import type { BrokerRange } from '../kafka/read-range.ts'
import type { KafkaSession } from '../kafka/session.ts'
import { readNextOffsets } from '../log/write/next-offsets.ts'
import type { Metrics } from '../metrics.ts'
import type { Logger } from '../runtime/logger.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { wait } from '../runtime/wait.ts'
import type { Assignment } from './assignment.ts'
import type { Health } from './health.ts'

export type UnreadLagOptions = {
  readonly session: Pick<KafkaSession, 'readRanges' | 'readCommitted'>
  readonly topic: string
  readonly assignment: Pick<Assignment, 'places'>
  readonly health: Pick<Health, 'unread'>
  readonly database: Pool
  readonly metrics: Metrics
  readonly logger: Logger
  /** Aborting it ends the watch. */
  readonly signal: AbortSignal
}

const tickMs = 1_000
const askEveryMs = 60_000

/**
 * Shows how many records wait in partitions that nobody reads: in those of this member that are stopped, and in those that the group
 * gives to no member. No fetch tells their lag. So the broker is asked for where they end, once a minute, and at once when another
 * partition is among them. Never rejects.
 */
export async function watchUnreadLag(options: UnreadLagOptions): Promise<void> {
  const { metrics, logger, topic, signal } = options
  let known = ''
  let askedAt = -Infinity
  signal.addEventListener('abort', () => metrics.unreadLag.reset(), { once: true })
  while (await wait(tickMs, signal)) {
    const partitions = findUnread(options)
    const found = partitions.join()
    if (found === known && (found === '' || performance.now() - askedAt < askEveryMs)) continue
    known = found
    askedAt = performance.now()
    try {
      const lags = found === '' ? [] : await readLags(options, partitions)
      // The next session may have begun meanwhile.
      if (signal.aborted) return
      metrics.unreadLag.reset()
      for (const [partition, lag] of lags) metrics.unreadLag.set({ topic, partition }, lag)
    } catch (error) {
      if (signal.aborted) return
      // What was known may be too low by now.
      metrics.unreadLag.reset()
      logger.debug({ topic, reason: reasonOf(error) }, 'lag of unread partitions not known')
    }
  }
}

function findUnread({ assignment, health }: UnreadLagOptions): number[] {
  const stopped = [...assignment.places()]
    .filter(({ state }) => state === 'stopped')
    .map(({ partition }) => partition)
  return [...new Set([...stopped, ...health.unread])].sort((one, other) => one - other)
}

async function readLags(
  { session, database, topic }: UnreadLagOptions,
  partitions: readonly number[],
): Promise<[partition: number, lag: number][]> {
  const ranges = await session.readRanges()
  const { places } = await readNextOffsets(database, topic)
  const lags: [number, number][] = []
  for (const partition of partitions) {
    const range = ranges.get(partition)
    if (range === undefined) continue
    const next = places.get(partition)?.nextOffset ?? (await session.readCommitted(partition))
    lags.push([partition, countWaiting(next, range)])
  }
  return lags
}

/** What Kafka has deleted waits no more. A topic that ends below the next offset was created anew, and all of it waits. */
function countWaiting(next: bigint | null, { low, high }: BrokerRange): number {
  return Number(high - (next === null || next < low || next > high ? low : next))
}
