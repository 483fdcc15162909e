import type pg from 'pg'
import { namedMax, type Invariants } from './invariants.ts'
import { agedTime } from './rollup-bounds.ts'

/**
 * S4: compares the failures by minute (or hour, or day) and pattern with the log, and with what the log remembers of archived segments. The
 * patterns themselves are not checked: they come from the service's own SQL function failure_pattern. Checked is how often each pattern
 * came, when last, and for which messages.
 */
export async function checkFailures(client: pg.Client, { S4 }: Invariants): Promise<void> {
  const { rows } = await client.query<Row>(`
    with of_log as (
      select ${agedTime('e.recorded_at')} as minute, failure_pattern(e.reason) collate "C" as pattern,
        count(*)::numeric as n, max(e.recorded_at) as last_at,
        (array_agg(distinct e.message_id order by e.message_id desc))[1:3] as examples
      from message_events e
      where e.type in ('attempt_failed', 'attempt_abandoned', 'rejected') and e.reason is not null
      group by 1, 2
    ),
    every as (
      select minute, pattern, n, last_at, examples from of_log
      union all
      select ${agedTime('minute')}, pattern, n, last_at, examples from archived_failures
    ),
    counted as (
      select y.minute, y.pattern, sum(y.n) filter (where coalesce(x.place, 1) = 1) as n, max(y.last_at) as last_at,
        (array_agg(distinct x.id order by x.id desc) filter (where x.id is not null))[1:3] as examples
      from every y left join lateral unnest(y.examples) with ordinality as x(id, place) on true
      group by y.minute, y.pattern
    ),
    kept as (
      select minute, pattern, n, last_at, examples from failure_rollups
      union all
      select ${agedTime('minute')}, pattern, n, last_at, examples from failure_deltas
      where position >= (select max(bound) from status_count_folds)
    ),
    sums as (
      select minute, pattern, sum(n) as n, max(last_at) as last_at from kept group by minute, pattern having sum(n) <> 0
    ),
    named as (
      select k.minute, k.pattern, (array_agg(distinct e.id order by e.id desc))[1:3] as examples
      from kept k cross join lateral unnest(k.examples) as e(id)
      group by k.minute, k.pattern
    ),
    stored as (
      select minute, pattern, s.n, s.last_at, n.examples from sums s left join named n using (minute, pattern)
    )
    ${compare('counted', 'stored', 'minute, pattern', `'failures of ' || minute || ': ' || pattern`)}`)
  note(rows, S4)
}

/** S4: compares the folds of the partitions with their advances. */
export async function checkPartitionFolds(client: pg.Client, { S4 }: Invariants): Promise<void> {
  const { rows } = await client.query<Row>(`
    with stored as (select * from partition_folds),
    counted as (
      select f.partition_id, min(a.first_offset) as first_offset, f.next_offset, sum(a.received)::bigint as received,
        sum(a.duplicates)::bigint as duplicates, sum(a.conflicts)::bigint as conflicts, sum(a.rejected)::bigint as rejected,
        sum(a.holes)::bigint as holes, sum(a.gaps)::bigint as gaps
      from partition_folds f
      left join partition_advances a on a.partition_id = f.partition_id and a.next_offset <= f.next_offset
      group by f.partition_id, f.next_offset
    )
    ${compare('counted', 'stored', 'partition_id', `'fold of partition ' || partition_id`)}`)
  note(rows, S4)
}

type Row = { name: string; stored: string | null; counted: string | null; checked: string; differ: string }

/** SQL that compares the rows of two tables with the same columns by key: the rows that differ, and how many were compared. */
function compare(counted: string, stored: string, key: string, name: string): string {
  return `select * from (
      select ${name} as name, s::text as stored, c::text as counted, s is distinct from c as differs,
        count(*) over () as checked, count(*) filter (where s is distinct from c) over () as differ
      from ${counted} c full join ${stored} s using (${key})
    ) compared
    order by differs desc limit ${namedMax}`
}

function note(rows: readonly Row[], invariant: Invariants['S4']): void {
  const differ = Number(rows[0]?.differ ?? 0)
  invariant.checked += Number(rows[0]?.checked ?? 0)
  const named = rows.slice(0, differ)
  for (const { name, stored, counted } of named)
    invariant.differ(name, null, `is ${stored ?? 'missing'}, folding gives ${counted ?? 'none'}`)
  invariant.differMore(differ - named.length)
}
