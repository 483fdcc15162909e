-- Counts which dead letters these events have opened and closed: as the measures `open_dead_letter_…` of the rollups, one for each cause,
-- which say how many there are now. A dead letter is open until it is replayed, resolved or accepted late, and again once it is reopened.
--
-- Called by: project, once for a statement that has such events. The two arrays name them. It reads the log up to each of them.
-- Returns: nothing.
create or replace function count_letters(in_position bigint, in_message_ids bigint[], in_versions int[]) returns void
language plpgsql volatile
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  -- Starting a statement costs for each segment; these two leave out the segments that have none of the messages.
  first_id constant bigint := (select min(m) from unnest(in_message_ids) as m);
  last_id constant bigint := (select max(m) from unnest(in_message_ids) as m);
begin
  insert into status_count_deltas (position, pending, processing, success, failed, dead_letter, minutes, measures, buckets, counts)
    select in_position, 0, 0, 0, 0, 0, array_agg('-infinity'::timestamptz), array_agg('open_dead_letter_' || c.cause), array_agg(0),
      array_agg(c.n)
    from (
      select dead_letter_cause(l.type, l.reason) as cause, sum(case when e.opens then 1 else -1 end)::bigint as n
      from unnest(in_message_ids, in_versions) as u(message_id, version)
      cross join lateral (
        select a.type not in ('replayed', 'resolved', 'late_result_observed') as opens, a.type = 'late_result_observed' as is_late
        from message_events a
        where a.message_id = u.message_id and a.message_id between first_id and last_id and a.version = u.version
        limit 1
      ) e
      cross join lateral (
        select d.type, d.reason from message_events d
        where d.message_id = u.message_id and d.message_id between first_id and last_id and d.version <= u.version
          and d.status = 'dead_letter' and (d.type in ('dead_lettered', 'cancelled') or d.version = 1)
        order by d.version desc limit 1
      ) l
      -- What was accepted late was an open dead letter, or a resolved one, or none at all.
      left join lateral (
        select b.status, b.version from message_events b
        where e.is_late and b.message_id = u.message_id and b.message_id between first_id and last_id and b.version = u.version - 1
        limit 1
      ) before on true
      left join lateral (
        select d.type from message_events d
        where before.status = 'dead_letter' and d.message_id = u.message_id and d.message_id between first_id and last_id
          and d.version <= before.version and d.type in ('resolved', 'reopened', 'replayed')
        order by d.version desc limit 1
      ) decided on true
      where not e.is_late or (before.status = 'dead_letter' and decided.type is distinct from 'resolved')
      group by 1
    ) c
    where c.n <> 0
    having count(*) > 0;
end
$$;
