-- Appends the event `expunged` to messages, and takes key, headers, traceparent and bytes out of all their records. The hash stays
-- in the log and in the inbox, and the size stays in `records`.
--
-- Called by: expunge, expunge_aged. The caller holds the locks on the messages' rows, and has seen that each message is a success or
-- a dead letter and is not expunged yet.
-- Returns: nothing.
create or replace function append_expunged(in_message_ids bigint[], in_actor text, in_reason text) returns void
language plpgsql volatile
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
  if cardinality(in_message_ids) = 0 then
    return;
  end if;
  insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, reason)
    select s.message_id, s.version + 1, greatest((select current_position()), s.position),
      greatest(clock_timestamp(), s.recorded_at), 'expunged', in_actor, s.status, s.retry_count, s.due_at, in_reason
    from message_states s
    where s.message_id = any (in_message_ids)
    order by s.message_id;
  perform refuse_unprojected();
  -- After the event, because the trigger expunge_only asks for it.
  update records r set key = null, headers = null, traceparent = null, payload = null, payload_state = 'expunged'
    where r.message_id = any (in_message_ids) and r.payload_state <> 'expunged';
end
$$;
