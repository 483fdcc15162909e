-- The failures of the minutes from `first` to `last`, both included: what is folded and the deltas above it.
create or replace function read_failures(first timestamptz, last timestamptz)
returns table (minute timestamptz, pattern text, n bigint, last_at timestamptz, examples bigint[])
language plpgsql stable security definer
set search_path = public, pg_temp
set jit = off
as $$
#variable_conflict use_column
begin
  return query
  select a.minute, a.pattern, sum(a.n)::bigint, max(a.last_at), example_ids(a.examples)
  from (
    select r.minute, r.pattern, r.n, r.last_at, r.examples from failure_rollups r where r.minute between first and last
    union all
    select d.minute, d.pattern, d.n, d.last_at, d.examples from failure_deltas d
    where d.position >= (select max(bound) from status_count_folds) and d.minute between first and last
  ) a
  group by a.minute, a.pattern
  having sum(a.n) > 0;
end
$$;
