-- Reads the failures of the minutes from `in_first` to `in_last`, both included: what is folded, and the deltas above the fold.
-- Whole hours and days are read as in `read_rollups`.
--
-- Called by: rebuild_failures, src/log/read/rollups/read-failures.ts.
-- Returns: several rows may have the same minute and pattern. The caller adds them up.
create or replace function read_failures(in_first timestamptz, in_last timestamptz)
returns table (minute timestamptz, pattern text, n bigint, last_at timestamptz, examples bigint[])
language sql stable
as $$
  select r.minute, r.pattern, r.n, r.last_at, r.examples from failure_rollups r
  where r.minute between date_bin('24 hours', in_first, 'epoch') and in_last
    and r.minute >= (select aged_minute(in_first, b.hours_below, b.days_below) from aged_below() b)
  union all
  select aged_minute(d.minute, b.hours_below, b.days_below), d.pattern, d.n, d.last_at, d.examples from failure_deltas d
  cross join aged_below() b
  where d.position >= (select max(bound) from status_count_folds)
    and aged_minute(d.minute, b.hours_below, b.days_below)
      between aged_minute(in_first, b.hours_below, b.days_below) and in_last
$$;
