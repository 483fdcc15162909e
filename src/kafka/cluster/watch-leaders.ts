import { createRequire } from 'node:module'

/** Null where a partition has no leader. */
export type Leaders = ReadonlyMap<number, { nodeId: number; address: string } | null>

type PartitionMetadata = { partitionErrorCode: number; partitionId: number; leader: number }
type Metadata = {
  brokers: { nodeId: number; host: string; port: number }[]
  topicMetadata: { topic: string; topicErrorCode: number; partitionMetadata: PartitionMetadata[] }[]
}
type BrokerPool = {
  metadata: Metadata | null
  metadataExpireAt: number | null
  refreshMetadata: (this: BrokerPool, topics: string[]) => Promise<unknown>
}
type Listener = (topic: string, leaders: Leaders | null) => void

// The versions of Metadata that kafkajs 2.2.4 speaks.
const versions = [0, 1, 2, 3, 4, 5, 6]
// Source: Errors.java in Kafka's clients/src/main/java/org/apache/kafka/common/protocol.
const none = 0
const unknownTopic = 3
// How soon to ask again who leads while some partition has no leader.
const leaderlessMs = 500

const listeners = new Set<Listener>()
let isWatched = false

/**
 * Says who leads a topic's partitions, each time that kafkajs hears of it, and has it take the answer when some have no leader: as
 * shipped, kafkajs 2.2.4 throws the whole topic's metadata away for one such partition, so that all of them stood for as long as
 * it had none. A partition without a leader is the leader −1's, from whom nobody fetches. Rests on the exact pin, and holds for
 * the whole process.
 *
 * @param listener hears null of a topic that does not exist
 * @returns stops listening
 */
export function onLeaders(listener: Listener): () => void {
  if (!isWatched) watchMetadata()
  isWatched = true
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function watchMetadata(): void {
  const load = createRequire(import.meta.url)
  for (const version of versions) {
    // kafkajs looks `parse` up on this object at every answer.
    const response = load(`kafkajs/src/protocol/requests/metadata/v${version}/response.js`) as {
      parse: (metadata: Metadata) => Promise<Metadata>
    }
    const { parse } = response
    response.parse = (metadata) => {
      for (const { topic, topicErrorCode, partitionMetadata } of metadata.topicMetadata) {
        if (topicErrorCode === unknownTopic) for (const listener of listeners) listener(topic, null)
        for (const partition of partitionMetadata) partition.partitionErrorCode = none
      }
      return parse(metadata)
    }
  }
  const { prototype } = load('kafkajs/src/cluster/brokerPool.js') as { prototype: BrokerPool }
  const { refreshMetadata } = prototype
  prototype.refreshMetadata = async function (topics) {
    await refreshMetadata.call(this, topics)
    if (this.metadata === null) return
    for (const { topic, partitionMetadata } of this.metadata.topicMetadata) {
      const leaders = readLeaders(this.metadata, partitionMetadata)
      if ([...leaders.values()].includes(null)) this.metadataExpireAt = Date.now() + leaderlessMs
      for (const listener of listeners) listener(topic, leaders)
    }
  }
}

function readLeaders({ brokers }: Metadata, partitions: readonly PartitionMetadata[]): Leaders {
  return new Map(
    partitions.map(({ partitionId, leader }) => {
      const found = brokers.find(({ nodeId }) => nodeId === leader)
      return [
        partitionId,
        found === undefined ? null : { nodeId: leader, address: `${found.host}:${found.port}` },
      ]
    }),
  )
}
