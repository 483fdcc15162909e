-- Brings decisions about these messages into `decided_messages`, and counts them: as the measures `on_hold` and `resolved_dead_letter` of
-- the rollups, which say how many there are now.
--
-- Called by: project, once for a statement that has such decisions or late acceptances. It reads the log: a message has either its
-- decision as the last one, or another event has ended it.
-- Returns: nothing.
create or replace function project_decisions(in_position bigint, in_message_ids bigint[]) returns void
language plpgsql volatile
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  on_hold bigint;
  resolved bigint;
begin
  select count(*) filter (where d.resolution is null), count(*) filter (where d.resolution is not null) into on_hold, resolved
    from decided_messages d where d.message_id = any (in_message_ids);
  delete from decided_messages d
    where d.message_id = any (in_message_ids)
      and not exists (select from decisions_of(in_message_ids) n where n.message_id = d.message_id);
  insert into decided_messages as d (message_id, version, resolution)
    select n.message_id, n.version, n.resolution from decisions_of(in_message_ids) n order by n.message_id
    on conflict (message_id) do update set version = excluded.version, resolution = excluded.resolution;
  select count(*) filter (where d.resolution is null) - on_hold, count(*) filter (where d.resolution is not null) - resolved
    into on_hold, resolved
    from decided_messages d where d.message_id = any (in_message_ids);
  insert into status_count_deltas (position, pending, processing, success, failed, dead_letter, minutes, measures, buckets, counts)
    select in_position, 0, 0, 0, 0, 0, array_agg('-infinity'::timestamptz), array_agg(m.measure), array_agg(0), array_agg(m.n)
    from (values ('on_hold', on_hold), ('resolved_dead_letter', resolved)) as m(measure, n)
    where m.n <> 0
    having count(*) > 0;
end
$$;
