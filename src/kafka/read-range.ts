import type { Admin, Kafka } from 'kafkajs'

/** The first offset of a partition that the broker has, and the offset that its next record will get. */
export type BrokerRange = { low: bigint; high: bigint }

/**
 * Asks the broker for its range of a partition. Uses its own client, because the question is rare: at a gap,
 * or when kafkajs' offset is in doubt.
 */
export async function readRange(kafka: Kafka, topic: string, partition: number): Promise<BrokerRange> {
  return withAdmin(kafka, async (admin) => {
    const found = (await admin.fetchTopicOffsets(topic)).find((each) => each.partition === partition)
    if (found === undefined) throw new Error(`Kafka does not know partition ${partition} of ${topic}`)
    return { low: BigInt(found.low), high: BigInt(found.high) }
  })
}

/** The broker's ranges of all partitions of a topic. Fails if one of them has no leader. */
export async function readRanges(kafka: Kafka, topic: string): Promise<Map<number, BrokerRange>> {
  return withAdmin(kafka, async (admin) => {
    const found = await admin.fetchTopicOffsets(topic)
    return new Map(found.map((each) => [each.partition, { low: BigInt(each.low), high: BigInt(each.high) }]))
  })
}

/** The topic's partitions, in order. */
export async function listPartitions(admin: Admin, topic: string): Promise<number[]> {
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
  const ids = topics.flatMap(({ partitions }) => partitions.map(({ partitionId }) => partitionId))
  return ids.sort((one, other) => one - other)
}

/**
 * The group's committed offset in Kafka, where a partition begins if nothing of it is stored; null if there
 * is none.
 */
export async function readCommitted(
  kafka: Kafka,
  groupId: string,
  topic: string,
  partition: number,
): Promise<bigint | null> {
  return withAdmin(kafka, async (admin) => {
    const [found] = await admin.fetchOffsets({ groupId, topics: [topic] })
    const offset = BigInt(found?.partitions.find((each) => each.partition === partition)?.offset ?? -1)
    return offset < 0n ? null : offset
  })
}

/** Asks with a client of its own. Asking never creates a topic. */
export async function withAdmin<Answer>(
  kafka: Kafka,
  ask: (admin: Admin) => Promise<Answer>,
): Promise<Answer> {
  const admin = kafka.admin()
  try {
    await admin.connect()
    return await ask(admin)
  } finally {
    await admin.disconnect()
  }
}
