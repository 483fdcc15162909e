-- Says until when a message that is in doubt may be sent again: `in_key_window_ms` after its first attempt that may have been
-- sent. As long does the processor remember the idempotency key, and would not carry the payment out twice.
--
-- Called by: replay_messages.
-- Returns: null if the message is not in doubt, or if there is no window.
create or replace function key_window_ends_at(in_message_id bigint, in_key_window_ms bigint) returns timestamptz
language plpgsql stable
set search_path = public, pg_temp
as $$
begin
  return (select d.first_at + in_key_window_ms * interval '1 millisecond' from doubt_of(in_message_id) d);
end
$$;
