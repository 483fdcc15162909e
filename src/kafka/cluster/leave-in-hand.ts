type Assigned = { topic: string; partitions: number[] }
type Batch = { topic: string; partition: number }
type ConsumerGroup = {
  subscriptionState: object
  getNodeIds(): string[]
  filterPartitionsByNode(fetcher: string, assigned: Assigned[]): Assigned[]
}

/** By fetcher: what it has in hand. */
type Hands = Map<string, ReadonlySet<string>>

// By what a group shares with the views of it that single fetches get.
const handsOf = new WeakMap<object, Hands>()

/**
 * Fetches nothing of partitions of which another fetcher has a batch in hand, as when their leader has changed meanwhile. Unchanged,
 * kafkajs 2.2.4 fetches them from the next leader as well, throws the answer away, and fetches again at once, hundreds of times a
 * second. It also takes the offset that the partition was sought to, and goes on behind the batch in hand.
 */
export async function leaveInHand<Group extends ConsumerGroup, Fetched extends Batch>(
  group: Group,
  fetcher: string,
  fetch: (group: Group) => Promise<Fetched[]>,
): Promise<Fetched[]> {
  const hands = handsOf.get(group.subscriptionState) ?? new Map<string, ReadonlySet<string>>()
  handsOf.set(group.subscriptionState, hands)
  // A fetcher fetches again when all of its last answer is handled.
  hands.delete(fetcher)
  const filterPartitionsByNode = (name: string, assigned: Assigned[]): Assigned[] =>
    group.filterPartitionsByNode(name, assigned).map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.filter((partition) => !isInHand(group, hands, keyOf({ topic, partition }))),
    }))
  const batches = await fetch(
    Object.create(group, { filterPartitionsByNode: { value: filterPartitionsByNode } }) as Group,
  )
  hands.set(fetcher, new Set(batches.map(keyOf)))
  return batches
}

/** The fetchers of a broker that has left the cluster have ended, and do not fetch again. */
function isInHand(group: ConsumerGroup, hands: Hands, key: string): boolean {
  return group.getNodeIds().some((fetcher) => hands.get(fetcher)?.has(key) === true)
}

function keyOf({ topic, partition }: Batch): string {
  return `${topic}|${partition}`
}
