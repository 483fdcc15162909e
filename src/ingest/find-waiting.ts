import type { Leaders } from '../kafka/cluster/watch-leaders.ts'
import type { WaitingPartition } from './health.ts'
import type { Place } from './place.ts'

// Above what a batch takes that is being stored, and what a rolling restart or a clean failover takes.
const silentMsMax = 15_000

/** Those of the places that Kafka keeps from being read, each with the reason, for an operator. */
export function findWaiting(
  places: Iterable<Place>,
  leaders: Leaders,
): Omit<WaitingPartition, 'waitingMs'>[] {
  return [...places].flatMap((place) => {
    const reason = place.state === 'stopped' ? null : explain(place, leaders)
    return reason === null ? [] : [{ partition: place.partition, reason }]
  })
}

function explain({ partition, refusals, refusal, silentMs }: Place, leaders: Leaders): string | null {
  const leader = leaders.get(partition)
  if (leader === null) return 'It has no leader: the brokers that have its records are down.'
  if (refusal !== null && refusals > 1) return `Its leader${nameLeader(leader)} refuses it: ${refusal}.`
  if (silentMs < silentMsMax) return null
  return `Its leader${nameLeader(leader)} has not answered for ${Math.round(silentMs / 1_000)} s.`
}

function nameLeader(leader: { nodeId: number; address: string } | undefined): string {
  return leader === undefined ? '' : `, broker ${leader.nodeId} at ${leader.address},`
}
