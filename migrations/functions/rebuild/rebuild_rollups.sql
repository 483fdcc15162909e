-- Counts the rollups again and corrects what differs, while the service runs. The log is the source, with what the archived
-- segments gave to the rollups; measures of the present (retries, unknown outcomes, decisions) are counted from the states. All is read in one
-- snapshot and nobody folds meanwhile, so an event that comes later is on neither side. The log is read before anything is written, so
-- that the watermark does not wait for it. What has aged is counted by the hour or day too, in whose row it is corrected.
--
-- A sum is corrected by what is missing. A maximum is set, and one that is too high in a delta stays wrong until it is folded:
-- fold first.
--
-- Called by: src/log/write/rebuild.ts (`npm run rebuild`). It waits for a fold that is under way.
-- Returns: one row for each minute (or hour, or day), measure and bucket that differed.
create or replace function rebuild_rollups()
returns table (minute timestamptz, measure text, bucket int, was bigint, became bigint)
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
  -- By the minute, whatever has aged.
  with by_minute as (
    select c.minute, c.measure, c.bucket, c.n from count_rollups() c
    union all
    select a.minute, a.measure, a.bucket, a.n from archived_rollups a
    union all
    select date_bin('1 minute', d.recorded_at, 'epoch'), 'duplicates', 0, count(*) from archived_duplicates d group by 1
  ),
  counted as (
    select aged_minute(m.minute, b.hours_below, b.days_below) as minute, m.measure, m.bucket,
      case when is_maximum(m.measure) then max(m.n) else sum(m.n)::bigint end as n
    from by_minute m
    cross join aged_below() b
    group by 1, 2, 3
  ),
  stored as (
    select r.minute, r.measure, r.bucket, case when is_maximum(r.measure) then max(r.n) else sum(r.n)::bigint end as n
    from read_rollups('-infinity', 'infinity', null) r
    group by 1, 2, 3
  ),
  different as materialized (
    select minute, measure, bucket, coalesce(r.n, 0) as was, coalesce(c.n, 0) as became
    from counted c
    full join stored r using (minute, measure, bucket)
    where coalesce(r.n, 0) <> coalesce(c.n, 0)
  ),
  repaired as (
    insert into rollups as r (minute, measure, bucket, n)
      select d.minute, d.measure, d.bucket, case when is_maximum(d.measure) then d.became else d.became - d.was end
      from different d
    on conflict (minute, measure, bucket) do update
      set n = case when is_maximum(r.measure) then excluded.n else r.n + excluded.n end
  )
  select d.minute, d.measure, d.bucket, d.was, d.became from different d order by 1, 2, 3;
end
$$;
