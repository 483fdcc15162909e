-- Reads the rollups of the minutes from `in_first` to `in_last`, both included: what is folded, and the deltas above the fold.
-- `in_measures` names the measures; null means all of them.
--
-- Called by: rebuild_rollups, src/log/read/rollups.
-- Returns: several rows may have the same minute, measure and bucket. The caller adds them up, or takes the longest
-- (`is_maximum`).
create or replace function read_rollups(in_first timestamptz, in_last timestamptz, in_measures text[])
returns table (minute timestamptz, measure text, bucket int, n bigint)
language sql stable
as $$
  select r.minute, r.measure, r.bucket, r.n from rollups r
  where r.minute between in_first and in_last and (in_measures is null or r.measure = any (in_measures))
  union all
  select u.minute, u.measure, u.bucket, u.n from status_count_deltas d
  cross join lateral unnest(d.minutes, d.measures, d.buckets, d.counts) as u(minute, measure, bucket, n)
  where d.position >= (select max(bound) from status_count_folds)
    and u.minute between in_first and in_last and (in_measures is null or u.measure = any (in_measures))
$$;
