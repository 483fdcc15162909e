-- Counts the messages by status, exactly: the last fold plus the deltas above it. It never scans the messages.
--
-- Called by: rebuild_counts, src/log/read (count-by-status, count-due).
-- Returns: one row.
create or replace function status_counts()
returns table (pending bigint, processing bigint, success bigint, failed bigint, dead_letter bigint)
language plpgsql stable security definer
set search_path = public, pg_temp
as $$
#variable_conflict use_column
begin
  return query
  select f.pending + coalesce(d.pending, 0), f.processing + coalesce(d.processing, 0), f.success + coalesce(d.success, 0),
    f.failed + coalesce(d.failed, 0), f.dead_letter + coalesce(d.dead_letter, 0)
  from (select * from status_count_folds order by bound desc limit 1) f
  cross join lateral (
    select sum(c.pending)::bigint as pending, sum(c.processing)::bigint as processing, sum(c.success)::bigint as success,
      sum(c.failed)::bigint as failed, sum(c.dead_letter)::bigint as dead_letter
    from status_count_deltas c where c.position >= f.bound
  ) d;
end
$$;
