export type Reader = { readonly memberId: string; readonly topics: readonly string[] }

/** The partitions that each member must read, by topic. */
export type Deal = Map<string, Map<string, number[]>>

/**
 * Assigns each partition to the reader of its topic that has the fewest partitions so far; if several have
 * the fewest, to the first by member id. So the readers of one topic get equal shares, and the same ones
 * after each join of the same members.
 *
 * @param partitions by topic; those of a topic without readers are assigned to nobody
 */
export function dealPartitions(
  readers: readonly Reader[],
  partitions: ReadonlyMap<string, readonly number[]>,
): Deal {
  const sorted = readers.toSorted((one, other) => (one.memberId < other.memberId ? -1 : 1))
  const deal: Deal = new Map(sorted.map(({ memberId }) => [memberId, new Map<string, number[]>()]))
  const counts = new Map(sorted.map(({ memberId }) => [memberId, 0]))
  const countOf = ({ memberId }: Reader): number => counts.get(memberId) ?? 0
  for (const topic of [...partitions.keys()].sort()) {
    const [first, ...others] = sorted.filter(({ topics }) => topics.includes(topic))
    if (first === undefined) continue
    for (const partition of partitions.get(topic) ?? []) {
      const reader = others.reduce((least, each) => (countOf(each) < countOf(least) ? each : least), first)
      counts.set(reader.memberId, countOf(reader) + 1)
      const dealt = deal.get(reader.memberId)
      dealt?.set(topic, [...(dealt.get(topic) ?? []), partition])
    }
  }
  return deal
}
