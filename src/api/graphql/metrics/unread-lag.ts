import type { Metrics } from '../../../metrics.ts'

/** How many records wait in the partitions that nobody reads, as far as the broker told, by `topic:partition`. */
export async function readUnreadLags({ unreadLag }: Metrics): Promise<ReadonlyMap<string, string>> {
  const { values } = await unreadLag.get()
  return new Map(values.map(({ labels, value }) => [`${labels.topic}:${labels.partition}`, String(value)]))
}
