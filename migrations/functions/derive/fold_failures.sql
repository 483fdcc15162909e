-- Adds the failures from the old bound up to the new one to `failure_rollups`, and deletes their deltas.
--
-- Called by: fold_piece, which holds the lock.
-- Returns: nothing. `in_old_bound` is inclusive, `in_new_bound` is not.
create or replace function fold_failures(in_old_bound bigint, in_new_bound bigint) returns void
language plpgsql volatile
set search_path = public, pg_temp
as $$
begin
  with gone as (
    delete from failure_deltas where position >= in_old_bound and position < in_new_bound returning *
  )
  insert into failure_rollups as r (minute, pattern, n, last_at, examples)
    select a.minute, g.pattern, sum(g.n), max(g.last_at), example_ids(g.examples)
    from gone g
    cross join aged_below() b
    cross join lateral (select aged_minute(g.minute, b.hours_below, b.days_below) as minute) a
    group by a.minute, g.pattern
    order by a.minute, g.pattern
  on conflict (minute, pattern) do update set
    n = r.n + excluded.n,
    last_at = greatest(r.last_at, excluded.last_at),
    examples = merge_examples(r.examples, excluded.examples);
end
$$;
