import type { Kafka } from 'kafkajs'

/** The first offset of a partition that the broker has, and the one that its next record will get. */
export type BrokerRange = { low: bigint; high: bigint }

/** Asks the broker. A client of its own, because it is asked seldom: at a gap, or when the client's place is in doubt. */
export async function readRange(kafka: Kafka, topic: string, partition: number): Promise<BrokerRange> {
  const admin = kafka.admin()
  try {
    await admin.connect()
    const found = (await admin.fetchTopicOffsets(topic)).find((each) => each.partition === partition)
    if (found === undefined) throw new Error(`Kafka does not know partition ${partition} of ${topic}`)
    return { low: BigInt(found.low), high: BigInt(found.high) }
  } finally {
    await admin.disconnect()
  }
}
