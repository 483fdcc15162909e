import type { Leaders } from '../kafka/cluster/watch-leaders.ts'
import type { WaitingPartition } from './health.ts'
import type { Place } from './place.ts'

// Longer than it takes to store a batch, and longer than a rolling restart or a clean failover.
const silentMsMax = 15_000

/** The partitions that Kafka does not let this member read, each with the reason, for an operator. */
export function findWaiting(
  places: Iterable<Place>,
  leaders: Leaders,
): Omit<WaitingPartition, 'waitingMs'>[] {
  return [...places].flatMap((place) => {
    const reason = place.state === 'stopped' ? null : explain(place, leaders)
    return reason === null ? [] : [{ partition: place.partition, reason }]
  })
}

function explain(
  { partition, refusals, refusal, silentMs, heldBackMs }: Place,
  leaders: Leaders,
): string | null {
  const leader = leaders.get(partition)
  if (leader === null) return 'It has no leader: the brokers that store its records are down.'
  if (refusal !== null && refusals > 1)
    return `Its leader${nameLeader(leader)} refuses to serve it: ${refusal}.`
  if (silentMs < silentMsMax) return null
  if (leader === undefined && leaders.size > 0)
    return 'Kafka has no such partition any more: the topic was created again with fewer.'
  const unansweredMs = silentMs - (heldBackMs ?? 0)
  if (unansweredMs < silentMsMax)
    return `Its leader${nameLeader(leader)} holds this client back by a quota: nothing was read for ${Math.round(silentMs / 1_000)} s.`
  return `Its leader${nameLeader(leader)} has not answered for ${Math.round(unansweredMs / 1_000)} s.`
}

function nameLeader(leader: { nodeId: number; address: string } | undefined): string {
  return leader === undefined ? '' : `, broker ${leader.nodeId} at ${leader.address},`
}
