import type { Kafka } from 'kafkajs'
import { withAdmin } from './read-range.ts'

/** What this service has committed of a partition: where its log began, and up to where it was stored. */
export type Begun = { readonly begins: bigint; readonly next: bigint }

const written = /^tqp begins=(\d+)$/

/** The metadata of a committed offset: it outlives a database that has lost the partition. */
export function writeBegins(begins: bigint): string {
  return `tqp begins=${begins}`
}

/** What this service has committed, by partition. Offsets that somebody else has committed say nothing of a log. */
export async function readBegun(kafka: Kafka, groupId: string, topic: string): Promise<Map<number, Begun>> {
  const [found] = await withAdmin(kafka, (admin) => admin.fetchOffsets({ groupId, topics: [topic] }))
  const begun = new Map<number, Begun>()
  for (const { partition, offset, metadata } of found?.partitions ?? []) {
    const begins = written.exec(metadata ?? '')?.[1]
    if (begins !== undefined) begun.set(partition, { begins: BigInt(begins), next: BigInt(offset) })
  }
  return begun
}
