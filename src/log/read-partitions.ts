import type { Pool } from 'pg'

/** Where a partition stands and what its offsets became; offsets and counts are decimal digits. */
export type PartitionState = {
  readonly topic: string
  readonly partition: number
  readonly nextOffset: string
  /** Why it is stopped; null if it is not. */
  readonly stopped: string | null
  readonly received: string
  readonly duplicates: string
  readonly conflicts: string
  readonly rejected: string
  readonly holes: string
  /** Whether these five add up to what was consumed. */
  readonly conserved: boolean
}

// What is folded, and the few advances above it.
const statement = {
  name: 'read_partitions',
  text: `with partition_sums as (
      select p.topic, p.partition, coalesce(f.first_offset, a.first_offset) as first_offset,
        coalesce(a.next_offset, f.next_offset, 0) as next_offset,
        coalesce(f.received, 0) + coalesce(a.received, 0) as received,
        coalesce(f.duplicates, 0) + coalesce(a.duplicates, 0) as duplicates,
        coalesce(f.conflicts, 0) + coalesce(a.conflicts, 0) as conflicts,
        coalesce(f.rejected, 0) + coalesce(a.rejected, 0) as rejected,
        coalesce(f.holes, 0) + coalesce(a.holes, 0) as holes
      from partitions p
      left join partition_folds f on f.partition_id = p.partition_id
      cross join lateral sum_advances(p.partition_id, coalesce(f.next_offset, -1)) a
    )
    select s.topic, s.partition, s.next_offset as "nextOffset", d.reason as stopped, s.received, s.duplicates, s.conflicts,
      s.rejected, s.holes,
      s.next_offset - coalesce(s.first_offset, s.next_offset) = s.received + s.duplicates + s.conflicts + s.rejected + s.holes
        as conserved
    from partition_sums s
    left join stopped_partitions d on d.topic = s.topic and d.partition = s.partition
    order by s.topic, s.partition`,
}

/** Every partition that was ever read from. */
export async function readPartitions(database: Pick<Pool, 'query'>): Promise<PartitionState[]> {
  const { rows } = await database.query<PartitionState>(statement)
  return rows
}
