-- Moves stray outcomes, of all payments or of one, into the logs of the payments that they belong to, and answers how many are left.
-- A payment is the same if its id and its bytes are. The event names no attempt, because the log has none; its reason does.
create or replace function place_strays(in_transaction_id text default null) returns bigint
language plpgsql volatile security definer
set search_path = public, pg_temp
set jit = off
as $$
declare
  stray record;
  told text;
begin
  -- In the order of messages, as everywhere.
  for stray in
    select s.*, i.message_id
    from stray_outcomes s
    join inbox i on i.transaction_id = s.transaction_id and i.payload_sha256 = s.payload_sha256
    where in_transaction_id is null or s.transaction_id = in_transaction_id
    order by i.message_id, s.attempt, s.lease_ends_at
    limit 1000
  loop
    perform from message_states where message_id = stray.message_id for no key update;
    delete from stray_outcomes s
      where s.transaction_id = stray.transaction_id and s.attempt = stray.attempt and s.lease_ends_at = stray.lease_ends_at
        and s.actor = stray.actor;
    -- Somebody else was faster.
    continue when not found;
    told := format('attempt %s of %s, which a failover took out of the log%s', stray.attempt, stray.actor, ': ' || stray.reason);
    -- A COMMIT whose answer was lost had it kept, and placed, before.
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
        in_reason => told);
    end if;
  end loop;
  return (select count(*) from stray_outcomes);
end
$$;
