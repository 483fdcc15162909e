-- Lets an UPDATE of `records` through if it does no more than expunge, and refuses every other one. It stops the owner of the log
-- too.
--
-- To expunge is to set the key, the headers, the traceparent and the bytes to null and the state to `expunged`, of a record whose
-- message has a later event `expunged`. So the log always says who expunged, when and why, and nothing can be put back or altered:
-- the new row is compared as a whole, as it is stored.
--
-- Called by: the trigger `expunge_only` of `records`, which this file makes. It is `enable always`, because
-- session_replication_role must not switch it off.
-- Returns: the new row.
-- Refuses: every other change, with the SQLSTATE 42501 (insufficient_privilege).
create or replace function expunge_only() returns trigger
language plpgsql
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
  expunged records := old;
begin
  expunged.key := null;
  expunged.headers := null;
  expunged.traceparent := null;
  expunged.payload := null;
  expunged.payload_state := 'expunged';
  -- Type json has no equality, so `=` does not compare such rows.
  if new *= expunged and exists (
    select from message_events e where e.message_id = old.message_id and e.type = 'expunged' and e.version > old.version
  ) then
    return new;
  end if;
  raise exception 'update on records is refused: the log is append-only' using errcode = 'insufficient_privilege',
    hint = 'select * from expunge(array[''the transaction id''], ''who'', ''why'')';
end
$$;

create or replace trigger expunge_only before update on records for each row execute function expunge_only();
alter table records enable always trigger expunge_only;
