import type pg from 'pg'
import { rfc3339 } from '../read/rfc3339.ts'
import type { Segment } from './list-segments.ts'

/** What a segment's events come to. Times are in RFC 3339, with six digits. */
export type SegmentCounts = {
  readonly messages: { readonly success: number; readonly dead_letter: number; readonly open: number }
  /** By type. */
  readonly events: Readonly<Record<string, number>>
  /** How many Kafka records the events account for, as in partition_advances. */
  readonly records: {
    readonly received: number
    readonly duplicates: number
    readonly conflicts: number
    readonly rejected: number
  }
  /** These four are null if the segment has no events. */
  readonly lowest_position: number | null
  readonly highest_position: number | null
  readonly first_recorded_at: string | null
  readonly last_recorded_at: string | null
}

/** What a segment gave to the rollups, and to the rollups of failures: rows with the columns' names, in the order of their keys. */
export type SegmentSums = {
  readonly rollups: readonly { minute: string; measure: string; bucket: number; n: number }[]
  readonly failures: readonly {
    minute: string
    pattern: string
    n: number
    last_at: string
    examples: number[]
  }[]
}

/** Counts a segment's events, and its messages by the status after their last event. The projection is not read. */
export async function countSegment(
  database: Pick<pg.ClientBase, 'query'>,
  { firstMessageId, nextMessageId }: Segment,
): Promise<SegmentCounts> {
  const { rows } = await database.query<{ counts: SegmentCounts }>(
    `with event as (
       select e.message_id, e.version, e.type, e.position, e.recorded_at from message_events e
       where e.message_id >= $1 and e.message_id < $2
     ),
     type as (select e.type, count(*) as n, count(*) filter (where e.version = 1) as firsts from event e group by 1),
     ended as (
       select l.status, count(*) as n from (
         select distinct on (e.message_id) e.message_id, e.status from message_events e
         where e.message_id >= $1 and e.message_id < $2 order by e.message_id, e.version desc
       ) l group by 1
     ),
     span as (
       select min(e.position) as lowest, max(e.position) as highest, min(e.recorded_at) as first, max(e.recorded_at) as last
       from event e
     )
     select json_build_object(
       'messages', json_build_object(
         'success', coalesce((select n from ended where status = 'success'), 0),
         'dead_letter', coalesce((select n from ended where status = 'dead_letter'), 0),
         'open', coalesce((select sum(n) from ended where status not in ('success', 'dead_letter')), 0)),
       'events', coalesce((select json_object_agg(type, n order by type) from type), '{}'),
       'records', json_build_object(
         'received', coalesce((select n from type where type = 'received'), 0),
         'duplicates', coalesce((select n from type where type = 'duplicate_received'), 0),
         'conflicts', coalesce((select firsts from type where type = 'conflict_received'), 0),
         'rejected', coalesce((select n from type where type = 'rejected'), 0)),
       'lowest_position', s.lowest, 'highest_position', s.highest,
       'first_recorded_at', ${rfc3339('s.first')}, 'last_recorded_at', ${rfc3339('s.last')}) as counts
     from span s`,
    [firstMessageId, nextMessageId],
  )
  const [row] = rows
  if (row === undefined) throw new Error('the counts of a segment are one row')
  return row.counts
}

export async function sumSegment(
  database: Pick<pg.ClientBase, 'query'>,
  { firstMessageId, nextMessageId }: Segment,
): Promise<SegmentSums> {
  const range = [firstMessageId, nextMessageId]
  const rollups = await database.query<{ row: SegmentSums['rollups'][number] }>(
    `select json_build_object('minute', case when r.minute = '-infinity' then '-infinity' else ${rfc3339('r.minute')} end,
       'measure', r.measure, 'bucket', r.bucket, 'n', r.n) as row
     from count_rollups($1, $2) r order by r.minute, r.measure, r.bucket`,
    range,
  )
  const failures = await database.query<{ row: SegmentSums['failures'][number] }>(
    `select json_build_object('minute', ${rfc3339('f.minute')}, 'pattern', f.pattern, 'n', f.n,
       'last_at', ${rfc3339('f.last_at')}, 'examples', f.examples) as row
     from count_failures_of($1, $2) f order by f.minute, f.pattern collate "C"`,
    range,
  )
  return { rollups: rollups.rows.map(({ row }) => row), failures: failures.rows.map(({ row }) => row) }
}
