export type Reader = { readonly memberId: string; readonly topics: readonly string[] }

/** The partitions that each member is to read, by topic. */
export type Deal = Map<string, Map<string, number[]>>

/**
 * Each partition goes to the reader of its topic that has the fewest so far; of several, to the first by its id. So the members of
 * one topic have equal shares, the same ones after each join of the same members.
 *
 * @param partitions of each topic; nobody gets those of a topic that no member reads
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
