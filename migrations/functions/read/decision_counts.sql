-- Counts what waits for an operator, exactly and without scanning the messages: the dead letters that are in the database, open and
-- resolved apart, and the messages on hold. A dead letter that was archived is in none of them: nobody can resolve it any more.
--
-- Called by: src/log/read/count-decided.ts.
-- Returns: one row. All of it is from one snapshot.
create or replace function decision_counts()
returns table (open_dead_letters bigint, resolved_dead_letters bigint, on_hold bigint)
language plpgsql stable security definer
set search_path = public, pg_temp
set jit = off
as $$
#variable_conflict use_column
begin
  return query
  select c.dead_letter - a.dead_letter - (n.resolved - a.resolved), n.resolved - a.resolved, n.on_hold
  from status_counts() c
  cross join (
    select coalesce(sum(r.n) filter (where r.measure = 'resolved_dead_letter'), 0)::bigint as resolved,
      coalesce(sum(r.n) filter (where r.measure = 'on_hold'), 0)::bigint as on_hold
    from read_rollups('-infinity', '-infinity', array['resolved_dead_letter', 'on_hold']) r
  ) n
  -- By the key, segment by segment: the rows of an archive are thousands.
  cross join (
    select coalesce(sum(s.dead_letter), 0)::bigint as dead_letter, coalesce(sum(r.n), 0)::bigint as resolved
    from segment_archives s
    left join lateral (
      select b.n from archived_rollups b
      where b.segment = s.segment and b.minute = '-infinity' and b.measure = 'resolved_dead_letter' and b.bucket = 0
      limit 1
    ) r on true
  ) a;
end
$$;
