-- Reads the rollups of the minutes from `in_first` to `in_last`, both included: what is folded, and the deltas above the fold.
-- `in_measures` names the measures; null means all of them. Where the rollups are kept by the hour or by the day, a whole hour or
-- day is read of which only a part is asked for. Bounds and rows come from one snapshot, so nothing is missed while rows age.
--
-- Called by: rebuild_rollups, src/log/read/rollups.
-- Returns: several rows may have the same minute, measure and bucket. The caller adds them up, or takes the longest
-- (`is_maximum`).
create or replace function read_rollups(in_first timestamptz, in_last timestamptz, in_measures text[])
returns table (minute timestamptz, measure text, bucket int, n bigint)
language sql stable
as $$
  -- No row begins earlier than the day of in_first. The planner needs this bound: it cannot see the other one.
  select r.minute, r.measure, r.bucket, r.n from rollups r
  where r.minute between date_bin('24 hours', in_first, 'epoch') and in_last
    and r.minute >= (select aged_minute(in_first, b.hours_below, b.days_below) from aged_below() b)
    and (in_measures is null or r.measure = any (in_measures))
  union all
  select aged_minute(u.minute, b.hours_below, b.days_below), u.measure, u.bucket, u.n from status_count_deltas d
  cross join aged_below() b
  cross join lateral unnest(d.minutes, d.measures, d.buckets, d.counts) as u(minute, measure, bucket, n)
  where d.position >= (select max(bound) from status_count_folds)
    and aged_minute(u.minute, b.hours_below, b.days_below)
      between aged_minute(in_first, b.hours_below, b.days_below) and in_last
    and (in_measures is null or u.measure = any (in_measures))
$$;
