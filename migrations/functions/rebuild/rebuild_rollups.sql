-- Counts the rollups again and corrects what differs, while the service runs. The log is the source; measures of the present
-- (retries, unknown outcomes) are counted from the states. All is read in one snapshot and nobody folds meanwhile, so an event
-- that comes later is on neither side. The log is read before anything is written, so that the watermark does not wait for it.
--
-- A sum is corrected by what is missing. A maximum is set, and one that is too high in a delta stays wrong until it is folded:
-- fold first.
--
-- Called by: src/log/write/rebuild.ts (`npm run rebuild`). It waits for a fold that is under way.
-- Returns: one row for each minute, measure and bucket that differed.
create or replace function rebuild_rollups()
returns table (minute timestamptz, measure text, bucket int, was bigint, became bigint)
language plpgsql volatile security definer
set search_path = public, pg_temp
set jit = off
as $$
#variable_conflict use_column
begin
  perform pg_advisory_xact_lock(hashtextextended('fold_counts', 0));
  return query
  with event as (
    select e.message_id, e.version, e.recorded_at, e.type, e.outcome, e.duration_ms,
      date_bin('1 minute', e.recorded_at, 'epoch') as minute,
      case e.type
        when 'succeeded' then true
        when 'late_result_observed' then e.status = 'success' and 'success' <> (
          select b.status from message_events b where b.message_id = e.message_id and b.version = e.version - 1
        )
        else false
      end as succeeds
    from message_events e
  ),
  duration as materialized (
    select t.minute, t.measure, latency_bucket(t.micros) as bucket, count(*) as n, max(t.micros)::bigint as longest
    from (
      select e.minute, 'end_to_end' as measure, round(date_part('epoch', e.recorded_at - b.recorded_at) * 1e6) as micros
      from event e
      join message_events b on b.message_id = e.message_id and b.version = 1
      where e.type in ('succeeded', 'late_result_observed') and e.succeeds
      union all
      select e.minute, 'attempt', e.duration_ms * 1000::double precision
      from event e where e.type in ('succeeded', 'attempt_failed') and e.duration_ms is not null
    ) t
    group by 1, 2, 3
  ),
  counted as (
    select k.minute, k.measure, 0 as bucket, count(*) as n
    from (select e.minute, event_measure(e.type, e.outcome, e.version = 1, e.succeeds) as measure from event e) k
    where k.measure is not null
    group by 1, 2
    union all
    select d.minute, d.measure, d.bucket, d.n from duration d
    union all
    select d.minute, d.measure || '_max', 0, max(d.longest) from duration d group by 1, 2
    union all
    select '-infinity', 'retries', s.retry_count, count(*) from message_states s group by 3
    union all
    select '-infinity', unknown_measure(s.status), 0, count(*)
    from message_states s where s.outcome_unknown group by 2
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
