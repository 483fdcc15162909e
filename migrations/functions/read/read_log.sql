-- Reads the log between two places, both excluded, below the watermark. The order is (position, message_id, version), or the
-- reverse of it.
--
-- It stops at the first `in_rows_max` events that match, or after `in_examined_max` events were looked at. The last event that
-- was looked at is returned too, with `matches` false if it does not match, so that the caller knows where to go on.
--
-- `event_positions` says which messages have events at a position; two statements of one transaction may both name a message. The
-- events themselves are found by their key.
--
-- Some planner methods are off. The plan must walk the index on position whatever the values are, and sort only events that
-- share a position, also on a table that was never analysed.
--
-- Called by: src/log/read/read-events.ts, expunge_aged.
-- Returns: the events in order. `place` counts the events that were looked at, from 1. A parameter that is null filters
-- nothing.
create or replace function read_log(
  in_after_position bigint,
  in_after_message_id bigint,
  in_after_version int,
  in_before_position bigint,
  in_before_message_id bigint,
  in_before_version int,
  in_backwards boolean,
  in_examined_max bigint,
  in_rows_max bigint,
  in_types text[],
  in_outcomes text[],
  in_actor text,
  in_recorded_from timestamptz,
  in_recorded_to timestamptz
) returns table (event message_events, matches boolean, place bigint)
language plpgsql stable
set search_path = public, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_hashagg = off
as $$
declare
  head bigint := watermark();
begin
  if in_backwards then
    return query
    select e.event, e.matches, e.place
    from (
      select e.event, e.position, e.message_id, e.version,
        (in_types is null or e.type = any (in_types)) and (in_outcomes is null or e.outcome = any (in_outcomes))
          and (in_actor is null or e.actor = in_actor) and (in_recorded_from is null or e.recorded_at >= in_recorded_from)
          and (in_recorded_to is null or e.recorded_at < in_recorded_to) as matches,
        row_number() over (order by e.position desc, e.message_id desc, e.version desc) as place
      from (
        select e.event, o.position, o.message_id, e.version, e.type, e.outcome, e.actor, e.recorded_at
        from (
          select distinct p.position, u.message_id
          from event_positions p
          cross join lateral unnest(p.message_ids) as u(message_id)
          where p.position >= in_after_position and p.position <= least(in_before_position, head - 1)
            and (p.position, u.message_id) >= (in_after_position, in_after_message_id)
            and (p.position, u.message_id) <= (in_before_position, in_before_message_id)
          order by p.position desc, u.message_id desc
        ) o
        cross join lateral (
          select m as event, m.version, m.type, m.outcome, m.actor, m.recorded_at from message_events m where m.message_id = o.message_id and m.position = o.position
        ) e
        where (o.position, o.message_id, e.version) > (in_after_position, in_after_message_id, in_after_version)
          and (o.position, o.message_id, e.version) < (in_before_position, in_before_message_id, in_before_version)
        order by o.position desc, o.message_id desc, e.version desc limit in_examined_max
      ) e
    ) e
    where e.matches or e.place = in_examined_max
    order by e.position desc, e.message_id desc, e.version desc limit in_rows_max;
  else
    return query
    select e.event, e.matches, e.place
    from (
      select e.event, e.position, e.message_id, e.version,
        (in_types is null or e.type = any (in_types)) and (in_outcomes is null or e.outcome = any (in_outcomes))
          and (in_actor is null or e.actor = in_actor) and (in_recorded_from is null or e.recorded_at >= in_recorded_from)
          and (in_recorded_to is null or e.recorded_at < in_recorded_to) as matches,
        row_number() over (order by e.position asc, e.message_id asc, e.version asc) as place
      from (
        select e.event, o.position, o.message_id, e.version, e.type, e.outcome, e.actor, e.recorded_at
        from (
          select distinct p.position, u.message_id
          from event_positions p
          cross join lateral unnest(p.message_ids) as u(message_id)
          where p.position >= in_after_position and p.position <= least(in_before_position, head - 1)
            and (p.position, u.message_id) >= (in_after_position, in_after_message_id)
            and (p.position, u.message_id) <= (in_before_position, in_before_message_id)
          order by p.position asc, u.message_id asc
        ) o
        cross join lateral (
          select m as event, m.version, m.type, m.outcome, m.actor, m.recorded_at from message_events m where m.message_id = o.message_id and m.position = o.position
        ) e
        where (o.position, o.message_id, e.version) > (in_after_position, in_after_message_id, in_after_version)
          and (o.position, o.message_id, e.version) < (in_before_position, in_before_message_id, in_before_version)
        order by o.position asc, o.message_id asc, e.version asc limit in_examined_max
      ) e
    ) e
    where e.matches or e.place = in_examined_max
    order by e.position asc, e.message_id asc, e.version asc limit in_rows_max;
  end if;
end
$$;
