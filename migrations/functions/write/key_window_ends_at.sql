-- Says until when a message that is in doubt may be sent again: `in_key_window_ms` after its first attempt. As long does the processor
-- remember the idempotency key, and would not carry the payment out twice.
--
-- A message is in doubt if an attempt of it may have been carried out: since the processor accepted or refused it last, or an operator
-- confirmed that it was not carried out, an attempt ended unknown or was abandoned. What else came meanwhile, such as a 503, says nothing of
-- that attempt. A late failure says nothing either; but one of an attempt that is not in this log tells of an attempt.
--
-- Called by: claim, replay_messages.
-- Returns: null if the message is not in doubt, or if there is no window.
create or replace function key_window_ends_at(in_message_id bigint, in_key_window_ms bigint) returns timestamptz
language plpgsql stable
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
as $$
begin
  if in_key_window_ms is null then
    return null;
  end if;
  return (
    select min(e.recorded_at) filter (where e.type in ('attempt_started', 'late_result_observed'))
        + in_key_window_ms * interval '1 millisecond'
      from message_events e where e.message_id = in_message_id
      having coalesce(max(e.version) filter (where e.outcome = 'unknown' and (e.type <> 'late_result_observed' or e.attempt is null)), 0)
        > coalesce(max(e.version) filter (where e.outcome = 'accepted' or e.outcome = 'refused' and e.type = 'attempt_failed'
          or e.confirmed_not_carried_out), 0)
  );
end
$$;
