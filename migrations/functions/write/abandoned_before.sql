-- Says whether the attempt before this one was abandoned, with no replay between the two.
--
-- Called by: expired.
-- Returns: false also if there was no attempt before.
create or replace function abandoned_before(in_message_id bigint, in_attempt int) returns boolean
language plpgsql stable
set search_path = public, pg_temp
as $$
begin
  return coalesce((
    select e.type = 'attempt_abandoned' from message_events e
    where e.message_id = in_message_id
      and (e.type = 'replayed' or (e.attempt = in_attempt - 1 and e.type in ('succeeded', 'attempt_failed', 'attempt_abandoned')))
    order by e.version desc limit 1
  ), false);
end
$$;
