import { isUnreachable } from './is-unreachable.ts'

type Assigned = { topic: string; partitions: number[] }
/** What is read here of kafkajs' ConsumerGroup. */
export type WatchedGroup = {
  groupId: string
  cluster: { brokerPool: object }
  subscriptionState: { assigned(): Assigned[] }
  filterPartitionsByNode(fetcher: string, assigned: Assigned[]): Assigned[]
  recoverFromFetch: (error: Error) => Promise<void>
}
type Listener = (groupId: string, topic: string, partitions: readonly number[]) => void

const listeners = new Set<Listener>()
// By their broker pools: a fetcher connects where its group is not known.
const groups = new WeakMap<object, WatchedGroup>()

/**
 * Tells a listener of the partitions whose leader could not be reached for a fetch, or is connected to again.
 *
 * @returns a function that stops the calls
 */
export function watchCuts(listener: Listener): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** The group for one fetch, which notes if that cannot reach its broker: only kafkajs' `fetch` knows which one it was. */
export function noteCuts<Group extends WatchedGroup>(group: Group, fetcher: string): Group {
  const { brokerPool } = group.cluster
  groups.set(brokerPool, group)
  const recoverFromFetch = (error: Error): Promise<void> => {
    if (isUnreachable(error)) noteCut(brokerPool, fetcher)
    return group.recoverFromFetch(error)
  }
  return Object.create(group, { recoverFromFetch: { value: recoverFromFetch } }) as Group
}

/** A fetcher of this broker pool could not reach its broker, or is about to connect again: it may have been cut while nothing was asked. */
export function noteCut(brokerPool: object, fetcher: string): void {
  const group = groups.get(brokerPool)
  if (group === undefined) return
  const { groupId, subscriptionState } = group
  for (const { topic, partitions } of group.filterPartitionsByNode(fetcher, subscriptionState.assigned()))
    for (const listener of listeners) listener(groupId, topic, partitions)
}
