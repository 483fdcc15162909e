-- Reads the events of a few named messages, as `read_log` does. Each message's events are read by their key, where the order of
-- versions is the order of the log. `+ 0` keeps the planner away from the index on position.
--
-- Called by: src/log/read/read-events.ts.
-- Returns: the first `in_rows_max` events that match, in order. A parameter that is null filters nothing.
create or replace function read_log_of(
  in_transaction_ids text[],
  in_after_position bigint,
  in_after_message_id bigint,
  in_after_version int,
  in_before_position bigint,
  in_before_message_id bigint,
  in_before_version int,
  in_backwards boolean,
  in_rows_max bigint,
  in_types text[],
  in_outcomes text[],
  in_actor text,
  in_recorded_from timestamptz,
  in_recorded_to timestamptz
) returns setof message_events
language plpgsql stable
set search_path = public, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  head bigint := watermark();
begin
  if in_backwards then
    return query
    select (p.event).*
    from inbox i
    cross join lateral (
      select e as event from message_events e
      where e.message_id = i.message_id and e.position + 0 < head
        and (e.position + 0, e.message_id, e.version) > (in_after_position, in_after_message_id, in_after_version)
        and (e.position + 0, e.message_id, e.version) < (in_before_position, in_before_message_id, in_before_version)
        and (in_types is null or e.type = any (in_types)) and (in_outcomes is null or e.outcome = any (in_outcomes))
        and (in_actor is null or e.actor = in_actor) and (in_recorded_from is null or e.recorded_at >= in_recorded_from)
        and (in_recorded_to is null or e.recorded_at < in_recorded_to)
      order by e.version desc limit in_rows_max
    ) p
    where i.transaction_id = any (in_transaction_ids collate "C")
    order by (p.event).position desc, (p.event).message_id desc, (p.event).version desc limit in_rows_max;
  else
    return query
    select (p.event).*
    from inbox i
    cross join lateral (
      select e as event from message_events e
      where e.message_id = i.message_id and e.position + 0 < head
        and (e.position + 0, e.message_id, e.version) > (in_after_position, in_after_message_id, in_after_version)
        and (e.position + 0, e.message_id, e.version) < (in_before_position, in_before_message_id, in_before_version)
        and (in_types is null or e.type = any (in_types)) and (in_outcomes is null or e.outcome = any (in_outcomes))
        and (in_actor is null or e.actor = in_actor) and (in_recorded_from is null or e.recorded_at >= in_recorded_from)
        and (in_recorded_to is null or e.recorded_at < in_recorded_to)
      order by e.version asc limit in_rows_max
    ) p
    where i.transaction_id = any (in_transaction_ids collate "C")
    order by (p.event).position asc, (p.event).message_id asc, (p.event).version asc limit in_rows_max;
  end if;
end
$$;
