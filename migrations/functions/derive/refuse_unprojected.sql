-- Refuses to commit what was appended if the log's trigger has not run in this transaction: it is off, or gone, as after a restore that
-- failed half-way. Otherwise outcomes would stand in the log without an effect, and what was paid would be sent again. To be called
-- after an append, once in a call: nobody can switch the trigger off while this transaction holds its lock on the table.
create or replace function refuse_unprojected() returns void
language plpgsql volatile as $$
begin
  if current_setting('tqp.projected', true) is distinct from 'yes' then
    raise exception 'what is appended to the log has no effect: the trigger project of message_events is off or gone'
      using errcode = 'object_not_in_prerequisite_state', hint = 'alter table message_events enable trigger project';
  end if;
end
$$;
