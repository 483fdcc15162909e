-- Moves stray outcomes into the logs of the payments that they belong to, at most a thousand in one call: those of one payment,
-- or with null those of all. A payment is the same if its id and its bytes are the same. The event names no attempt, because
-- the log does not have it; the event's reason names it. An archived payment takes no more events: its stray outcomes stay where
-- they are, as evidence. Those of a payment that a session keeps locked wait for the next call, and keep no other waiting.
--
-- Called by: keep_stray, src/log/write/place-strays.ts.
-- Returns: how many stray outcomes are left.
create or replace function place_strays(in_transaction_id text default null) returns bigint
language plpgsql volatile security definer
set search_path = public, pg_temp
set jit = off
as $$
declare
  stray record;
  told text;
  locked_id bigint;
begin
  -- In the order of message ids, as everywhere, so that two sessions never wait for each other in a circle.
  for stray in
    select s.*, i.message_id
    from stray_outcomes s
    join inbox i on i.transaction_id = s.transaction_id and i.payload_sha256 = s.payload_sha256
    where (in_transaction_id is null or s.transaction_id = in_transaction_id)
      and not exists (
        select from segment_archives a where i.message_id >= a.first_message_id and i.message_id < a.next_message_id
      )
    order by i.message_id, s.attempt, s.lease_ends_at
    limit 1000
  loop
    continue when stray.message_id = locked_id;
    begin
      perform from message_states where message_id = stray.message_id for no key update;
    exception when lock_not_available then
      locked_id := stray.message_id;
      continue;
    end;
    -- It was archived just now.
    continue when not found;
    delete from stray_outcomes s
      where s.transaction_id = stray.transaction_id and s.attempt = stray.attempt and s.lease_ends_at = stray.lease_ends_at
        and s.actor = stray.actor;
    -- Another session has moved it.
    continue when not found;
    told := format('attempt %s of %s, which a failover took out of the log%s', stray.attempt, stray.actor, ': ' || stray.reason);
    -- It may be in the log already: it was kept and placed by a COMMIT whose answer was lost.
    perform from message_events e
      where e.message_id = stray.message_id and e.type = 'late_result_observed' and e.attempt is null and e.actor = stray.actor
        and e.reason = told;
    if not found then
      perform append_late(
        in_actor => stray.actor,
        in_message_id => stray.message_id,
        in_attempt => null,
        in_attempt_name => told,
        in_outcome => stray.outcome,
        in_status_code => stray.status_code,
        in_duration_ms => stray.duration_ms,
        in_reason => told,
        in_reference => stray.reference);
    end if;
  end loop;
  return (select count(*) from stray_outcomes);
end
$$;
