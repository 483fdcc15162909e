-- The look of a lane for a release that does not know how many of its retries are slow: of those it gets half of its room at each look.
--
-- Called by: an older release.
-- Returns: as look_lane, without is_slow.
create or replace function look(
  in_status text,
  in_actor text,
  in_room int,
  in_bytes_max bigint,
  in_lease_ms bigint,
  in_statuses text[],
  in_look_from timestamptz[],
  in_reconnected_at timestamptz,
  in_grace_ms bigint
) returns table (kind text, message_id bigint, attempt int, retry_count int, transaction_id text, payload bytea,
  traceparent text, age_ms double precision, lease_ends_at bigint, status text, due_in_ms double precision, next_look_from text,
  last_position bigint)
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
#variable_conflict use_column
begin
  return query
  select l.kind, l.message_id, l.attempt, l.retry_count, l.transaction_id, l.payload, l.traceparent, l.age_ms, l.lease_ends_at,
    l.status, case when l.kind = 'timer' then l.due_in_ms end, l.next_look_from, l.last_position
  from look_lane(
    in_status => in_status,
    in_actor => in_actor,
    in_room => in_room,
    -- One more than it may get, so that it comes again for them: nothing wakes it when a slow one ends.
    in_slow_room => in_room + 1,
    in_bytes_max => in_bytes_max,
    in_lease_ms => in_lease_ms,
    in_statuses => in_statuses,
    in_look_from => in_look_from,
    in_reconnected_at => in_reconnected_at,
    in_grace_ms => in_grace_ms) l;
end
$$;
