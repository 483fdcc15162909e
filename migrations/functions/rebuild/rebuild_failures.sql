-- Counts the failures again, and corrects what differs. It works as `rebuild_rollups` does, under the same lock.
--
-- Called by: src/log/write/rebuild.ts (`npm run rebuild`).
-- Returns: one row for each minute (or hour, or day) and pattern that differed.
create or replace function rebuild_failures() returns table (minute timestamptz, pattern text, was text, became text)
language plpgsql volatile security definer
set search_path = public, pg_temp
set jit = off
as $$
#variable_conflict use_column
begin
  perform pg_advisory_xact_lock(hashtextextended('fold_counts', 0));
  -- Before the snapshot of the statement below is taken, in the order of drop_segment. Else a segment may be dropped between the two: its
  -- events would be gone, and what its archive gave would not be seen yet.
  lock table only message_states, only records, only message_events in access share mode;
  return query
  with by_minute as (
    select c.minute, c.pattern, c.n, c.last_at, c.examples from count_failures_of() c
    union all
    select a.minute, a.pattern, a.n, a.last_at, a.examples from archived_failures a
  ),
  counted as (
    select aged_minute(m.minute, b.hours_below, b.days_below) as minute, m.pattern, sum(m.n)::bigint as n,
      max(m.last_at) as last_at, example_ids(m.examples) as examples
    from by_minute m
    cross join aged_below() b
    group by 1, 2
  ),
  stored as (
    select r.minute, r.pattern, sum(r.n)::bigint as n, max(r.last_at) as last_at, example_ids(r.examples) as examples
    from read_failures('-infinity', 'infinity') r
    group by 1, 2
    having sum(r.n) <> 0
  ),
  different as materialized (
    select minute, pattern, coalesce(c.n, 0) - coalesce(r.n, 0) as lacking, c.n, c.last_at, c.examples,
      format('%s, last at %s, such as %s', coalesce(r.n, 0), r.last_at, r.examples) as was,
      format('%s, last at %s, such as %s', coalesce(c.n, 0), c.last_at, c.examples) as became
    from counted c
    full join stored r using (minute, pattern)
    where (c.n, c.last_at, c.examples) is distinct from (r.n, r.last_at, r.examples)
  ),
  repaired as (
    insert into failure_rollups as r (minute, pattern, n, last_at, examples)
      select d.minute, d.pattern, d.lacking, coalesce(d.last_at, '-infinity'), coalesce(d.examples, '{}') from different d
    on conflict (minute, pattern) do update
      set n = r.n + excluded.n, last_at = excluded.last_at, examples = excluded.examples
  )
  select d.minute, d.pattern, d.was, d.became from different d order by 1, 2;
end
$$;
