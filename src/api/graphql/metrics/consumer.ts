import { readPartitions, type PartitionState as PartitionRow } from '../../../log/read/read-partitions.ts'
import { builder } from '../builder.ts'
import type { MetricsSnapshot } from './take-snapshot.ts'
import { readLags } from './read-lags.ts'

/** `lag` as of the last answer that this instance got; null where it reads none of the partition, or cannot. */
type PartitionValue = PartitionRow & { lag: string | null; unreadLag: string | null }

export const PartitionState = builder.objectRef<PartitionValue>('PartitionState').implement({
  description:
    'conserved: consumed = received + duplicates + conflicts + rejected + holes. Offsets that operators gave up, gaps, are consumed too. Counts are of all incarnations.',
  fields: (t) => ({
    topic: t.exposeString('topic', { description: "Kafka's topic." }),
    partition: t.exposeInt('partition', { description: 'Its partition.' }),
    incarnation: t.exposeInt('incarnation', {
      description: 'Counts from 1; the next begins when an operator says that the topic was created anew.',
    }),
    nextOffset: t.expose('nextOffset', {
      type: 'BigInt',
      description: 'The first offset that is not stored yet.',
    }),
    highOffset: t.field({
      type: 'BigInt',
      nullable: true,
      description:
        "Where Kafka's log ended in the last answer that this instance got; null where it reads none of it.",
      resolve: ({ nextOffset, lag }) => (lag === null ? null : String(BigInt(nextOffset) + BigInt(lag))),
    }),
    lag: t.expose('lag', {
      type: 'BigInt',
      nullable: true,
      description:
        'Records that were not stored yet, as of the last answer that this instance got; null where it reads none of it.',
    }),
    unreadLag: t.expose('unreadLag', {
      type: 'BigInt',
      nullable: true,
      description:
        'Records that wait in it while nobody reads it, as it is stopped or no member of the group has it: asked of the broker once a minute. Null otherwise, and where this instance does not know.',
    }),
    stopped: t.exposeString('stopped', {
      nullable: true,
      description: 'Why it waits for an operator; null if it does not.',
    }),
    received: t.expose('received', { type: 'BigInt', description: 'Records that became messages.' }),
    duplicates: t.expose('duplicates', { type: 'BigInt', description: 'Records that were known already.' }),
    conflicts: t.expose('conflicts', {
      type: 'BigInt',
      description: 'Records with a known id and other bytes.',
    }),
    rejected: t.expose('rejected', {
      type: 'BigInt',
      description: 'Records that cannot be read or have no identity.',
    }),
    holes: t.expose('holes', { type: 'BigInt', description: 'Offsets that Kafka never handed over.' }),
    gaps: t.expose('gaps', { type: 'BigInt', description: 'Offsets that operators gave up.' }),
    conserved: t.exposeBoolean('conserved', {
      description: 'Whether these five add up to the offsets that were consumed, but for the gaps.',
    }),
  }),
})

export async function resolvePartitions({ dependencies, read }: MetricsSnapshot): Promise<PartitionValue[]> {
  const { consumerLag, unreadLag } = dependencies.metrics
  const [lags, unread] = [await readLags(consumerLag), await readLags(unreadLag)]
  const partitions = await read(readPartitions)
  return partitions.map((each) => {
    const name = `${each.topic}:${each.partition}`
    return { ...each, lag: lags.get(name) ?? null, unreadLag: unread.get(name) ?? null }
  })
}
