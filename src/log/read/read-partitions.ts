import type { Pool } from 'pg'

/** Where a partition stands, and what became of its offsets. Offsets and counts are decimal digits. */
export type PartitionState = {
  readonly topic: string
  readonly partition: number
  /** The present incarnation. `nextOffset` is of this one, the counts are of all incarnations. */
  readonly incarnation: number
  readonly nextOffset: string
  /** Why it is stopped; null if it is not. */
  readonly stopped: string | null
  readonly received: string
  readonly duplicates: string
  readonly conflicts: string
  readonly rejected: string
  readonly holes: string
  /** Offsets that operators gave up. */
  readonly gaps: string
  /** These six counts add up to the offsets that were consumed. */
  readonly conserved: boolean
}

// For each incarnation: what is folded, and the few advances above it.
const statement = {
  name: 'read_partitions',
  text: `with partition_sums as (
      select p.partition_id, p.topic, p.partition, p.incarnation,
        coalesce(f.first_offset, a.first_offset) as first_offset,
        coalesce(a.next_offset, f.next_offset) as next_offset,
        coalesce(a.next_offset, f.next_offset, p.begins_at, 0) as stands_at,
        coalesce(f.received, 0) + coalesce(a.received, 0) as received,
        coalesce(f.duplicates, 0) + coalesce(a.duplicates, 0) as duplicates,
        coalesce(f.conflicts, 0) + coalesce(a.conflicts, 0) as conflicts,
        coalesce(f.rejected, 0) + coalesce(a.rejected, 0) as rejected,
        coalesce(f.holes, 0) + coalesce(a.holes, 0) as holes,
        coalesce(f.gaps, 0) + coalesce(a.gaps, 0) as gaps
      from partitions p
      left join partition_folds f on f.partition_id = p.partition_id
      cross join lateral sum_advances(p.partition_id, coalesce(f.next_offset, -1)) a
    )
    select s.topic, s.partition, max(s.incarnation) as incarnation,
      (array_agg(s.stands_at order by s.incarnation desc))[1] as "nextOffset", max(d.reason) as stopped,
      sum(s.received) as received, sum(s.duplicates) as duplicates, sum(s.conflicts) as conflicts, sum(s.rejected) as rejected,
      sum(s.holes) as holes, sum(s.gaps) as gaps,
      coalesce(sum(s.next_offset - s.first_offset), 0)
        = sum(s.received + s.duplicates + s.conflicts + s.rejected + s.holes + s.gaps) as conserved
    from partition_sums s
    left join stopped_partitions d on d.partition_id = s.partition_id
    group by s.topic, s.partition
    order by s.topic, s.partition`,
}

/** Reads every partition that the service has ever read from. */
export async function readPartitions(database: Pick<Pool, 'query'>): Promise<PartitionState[]> {
  const { rows } = await database.query<PartitionState>(statement)
  return rows
}
