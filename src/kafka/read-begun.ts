import type { Kafka } from 'kafkajs'
import { withAdmin } from './read-range.ts'

/** Where a log began with a partition. */
export type Beginning = {
  readonly offset: bigint
  /** When the log was made, as PostgreSQL prints it: tells it from another log. */
  readonly logBeganAt: string
}

/** What this service has committed of a partition: where its log began, and up to where it was stored. */
export type Begun = { readonly begins: Beginning; readonly next: bigint }

const written = /^tqp log=(\S+) begins=(\d+)$/

/** The metadata of a committed offset: it outlives a database that has lost the partition. */
export function writeBegins({ logBeganAt, offset }: Beginning): string {
  return `tqp log=${logBeganAt} begins=${offset}`
}

/** What this service has committed, by partition. Offsets that somebody else has committed say nothing of a log. */
export async function readBegun(kafka: Kafka, groupId: string, topic: string): Promise<Map<number, Begun>> {
  const [found] = await withAdmin(kafka, (admin) => admin.fetchOffsets({ groupId, topics: [topic] }))
  const begun = new Map<number, Begun>()
  for (const { partition, offset, metadata } of found?.partitions ?? []) {
    const [, logBeganAt, begins] = written.exec(metadata ?? '') ?? []
    if (logBeganAt === undefined || begins === undefined) continue
    begun.set(partition, { begins: { logBeganAt, offset: BigInt(begins) }, next: BigInt(offset) })
  }
  return begun
}
