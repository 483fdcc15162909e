-- Adds to `event_positions` the events of the next `in_rows_max` messages above `in_above` that it does not lead to. What it says of events
-- that do not exist does no harm: readers look for the event.
--
-- Called by: src/log/write/rebuild.ts (`npm run rebuild`).
-- Returns: one row for each event that was missing. Then one row with a null message_id: `reached` is the last message that was looked
-- at, null at the end.
create or replace function rebuild_positions(in_above bigint, in_rows_max int)
returns table (message_id bigint, transaction_id text, version int, reached bigint)
language plpgsql volatile security definer
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
as $$
#variable_conflict use_column
begin
  return query
  with looked_at as materialized (
    select e.message_id, e.transaction_id
    from message_events e where e.message_id > in_above and e.version = 1 order by e.message_id limit in_rows_max
  ),
  missing as materialized (
    select e.message_id, l.transaction_id, e.version, e.position
    from looked_at l
    join message_events e on e.message_id = l.message_id
    where not exists (
      select from event_positions p where p.position = e.position and e.message_id = any (p.message_ids)
    )
  ),
  stored as (
    insert into event_positions (position, message_ids)
    select m.position, array_agg(distinct m.message_id) from missing m group by m.position
  )
  select m.message_id, m.transaction_id::text, m.version, null::bigint from missing m
  union all
  select null, null, null, (select max(l.message_id) from looked_at l);
end
$$;
