import { explainMissing } from './stop-fault.ts'
import type { Health } from './health.ts'

/** Whether Kafka hands over what it has, as far as this process knows. */
export type Connection = {
  readonly isConnected: boolean
  /** Since when, to the second. */
  readonly since: Date
  /** Why not; null while it is connected. */
  readonly reason: string | null
}

const tickMs = 1_000

/**
 * Watches whether the consumer is connected to Kafka: a member of its group whose coordinator answers, and not kept waiting for
 * each of its partitions. A database that is away is another matter.
 *
 * @returns `read`, and `end`, which ends the watch
 */
export function watchConnection(
  health: Readonly<Health>,
  topic: string,
): { read: () => Connection; end: () => void } {
  let known: Connection = { isConnected: false, since: new Date(), reason: null }
  const read = (): Connection => {
    const reason = findFault(health, topic)
    const isConnected = reason === null
    known = { isConnected, reason, since: isConnected === known.isConnected ? known.since : new Date() }
    return known
  }
  // So that the time is known even if nobody asks.
  const timer = setInterval(read, tickMs).unref()
  return { read, end: () => clearInterval(timer) }
}

function findFault(health: Readonly<Health>, topic: string): string | null {
  const { state, topicMissing, lastError, coordinatorError, assigned, waiting } = health
  if (topicMissing) return explainMissing(topic)
  if (state === 'starting' || state === 'crashed')
    return lastError ?? 'It has not joined its consumer group yet.'
  if (state === 'stopped') return 'It has left its consumer group.'
  if (coordinatorError !== null)
    return `The consumer group's coordinator does not answer: ${coordinatorError}`
  const [first] = waiting
  return first !== undefined && waiting.length === assigned.length ? first.reason : null
}
