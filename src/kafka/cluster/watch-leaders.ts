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
// The wait before asking for the leaders again while some partition has none.
const leaderlessMs = 500

const listeners = new Set<Listener>()
let isWatched = false

/**
 * Tells a listener who leads a topic's partitions, each time kafkajs learns it. Also makes kafkajs accept the
 * answer when some partitions have no leader. Unchanged, kafkajs 2.2.4 then throws the whole topic's metadata
 * away, so that all partitions stood still for as long as one had no leader. A partition without a leader is
 * treated as led by broker −1, from which nothing is fetched. Depends on the exact pin, and applies to the
 * whole process.
 *
 * @param listener gets null for a topic that does not exist
 * @returns a function that stops the calls
 */
export function watchLeaders(listener: Listener): () => void {
  if (!isWatched) watchMetadata()
  isWatched = true
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function watchMetadata(): void {
  const load = createRequire(import.meta.url)
  for (const version of versions) {
    // kafkajs reads `parse` from this object for every answer.
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
