-- Reads the failures of the minutes from `in_first` to `in_last`, both included: what is folded, and the deltas above the fold.
--
-- Called by: rebuild_failures, src/log/read/rollups/read-failures.ts.
-- Returns: several rows may have the same minute and pattern. The caller adds them up.
create or replace function read_failures(in_first timestamptz, in_last timestamptz)
returns table (minute timestamptz, pattern text, n bigint, last_at timestamptz, examples bigint[])
language sql stable
as $$
  select r.minute, r.pattern, r.n, r.last_at, r.examples from failure_rollups r where r.minute between in_first and in_last
  union all
  select d.minute, d.pattern, d.n, d.last_at, d.examples from failure_deltas d
  where d.position >= (select max(bound) from status_count_folds) and d.minute between in_first and in_last
$$;
