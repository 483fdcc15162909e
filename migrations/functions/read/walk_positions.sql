-- Lists the places of the log between two places, both excluded: each position with each message that has an event there. Two
-- statements of one transaction may both name a message, so each place is taken once.
--
-- Some planner methods are off. The plan must walk the index on position, also on a table that was never analysed.
--
-- Called by: src/log/read/messages/walk.ts.
-- Returns: the first `in_rows_max` places in the direction asked for.
create or replace function walk_positions(
  in_above_position bigint,
  in_above_message_id bigint,
  in_below_position bigint,
  in_below_message_id bigint,
  in_descending boolean,
  in_rows_max bigint
) returns table (log_position bigint, message_id bigint)
language plpgsql stable
set search_path = public, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashagg = off
as $$
begin
  if in_descending then
    return query
    select distinct p.position, u.message_id
    from event_positions p
    cross join lateral unnest(p.message_ids) as u(message_id)
    where p.position >= in_above_position and p.position <= in_below_position
      and (p.position, u.message_id) > (in_above_position, in_above_message_id)
      and (p.position, u.message_id) < (in_below_position, in_below_message_id)
    order by p.position desc, u.message_id desc limit in_rows_max;
  else
    return query
    select distinct p.position, u.message_id
    from event_positions p
    cross join lateral unnest(p.message_ids) as u(message_id)
    where p.position >= in_above_position and p.position <= in_below_position
      and (p.position, u.message_id) > (in_above_position, in_above_message_id)
      and (p.position, u.message_id) < (in_below_position, in_below_message_id)
    order by p.position asc, u.message_id asc limit in_rows_max;
  end if;
end
$$;
