import type { Pool } from 'pg'

export type Sizes = {
  /** Bytes on disk with indexes and TOAST, by table. The partitions of the log's segments count for their table. */
  tables: { table: string; bytes: number }[]
  /** How many segments are in the database, the one that lies ahead too. */
  segments: number
  /** For how many seconds the newest message of the oldest segment has been stored; 0 without a message. */
  oldestSegmentAgeSeconds: number
  /** Seconds since 1970; 0 if nothing was ever archived. */
  lastArchiveAt: number
}

// A database has some thirty tables of ours. Nobody's tables beside them make more series than that.
const tablesMax = 50

const text = `
  with oldest as (
    select s.next_message_id from log_segments s
    where not exists (select from segment_archives a where a.segment = s.segment)
    order by s.segment limit 1
  ),
  sized as (
    select coalesce(p.relname, c.relname) as table, sum(pg_total_relation_size(c.oid))::float8 as bytes
    from pg_class c
    left join pg_inherits i on i.inhrelid = c.oid
    left join pg_class p on p.oid = i.inhparent
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
      and c.relowner = (select l.relowner from pg_class l where l.oid = 'message_events'::regclass)
    group by 1 order by 2 desc limit ${tablesMax}
  )
  select (select json_agg(z) from sized z where z.bytes is not null) as tables,
    (select count(*)::int from log_segments s where not exists (
      select from segment_archives a where a.segment = s.segment)) as segments,
    coalesce((
      select extract(epoch from clock_timestamp() - m.created_at)::float8 from message_states m
      where m.message_id < (select o.next_message_id from oldest o) order by m.message_id desc limit 1
    ), 0) as oldest_segment_age_seconds,
    coalesce((select extract(epoch from max(a.archived_at))::float8 from segment_archives a), 0) as last_archive_at`

type Row = {
  tables: Sizes['tables'] | null
  segments: number
  oldest_segment_age_seconds: number
  last_archive_at: number
}

/** Reads how large the log is, and how old. It asks the file system for each file of each partition: not for every scrape. */
export async function readSizes(database: Pick<Pool, 'query'>): Promise<Sizes> {
  const { rows } = await database.query<Row>({ name: 'read_sizes', text })
  const [row] = rows
  if (row === undefined) throw new Error('sizes are one row')
  return {
    tables: row.tables ?? [],
    segments: row.segments,
    oldestSegmentAgeSeconds: row.oldest_segment_age_seconds,
    lastArchiveAt: row.last_archive_at,
  }
}
