-- Refuses to commit events that the trigger `project` has not seen. The trigger may be off or gone, for example after a restore
-- that failed half-way. Without this check outcomes would stand in the log without an effect, and payments would be sent again.
--
-- Called by: abandon_attempts, append_expunged, claim, decide_message, ingest, replay_messages and settle_attempts, once after they have
-- appended. Nobody can switch the trigger off afterwards: the transaction holds a lock on the table until it ends. Returns: nothing.
-- Refuses: a transaction in which the trigger has not run, with the SQLSTATE 55000 (object_not_in_prerequisite_state).
create or replace function refuse_unprojected() returns void
language plpgsql volatile as $$
begin
  if current_setting('tqp.projected', true) is distinct from 'yes' then
    raise exception 'what is appended to the log has no effect: the trigger project of message_events is off or gone'
      using errcode = 'object_not_in_prerequisite_state', hint = 'alter table message_events enable trigger project';
  end if;
end
$$;
