-- Records an outcome whose attempt is not open any more. The log must know the attempt: this caller started it, for this
-- payment and with this lease.
--
-- Called by: settle_attempts.
-- Returns: `late` if the outcome was recorded, `already` if the same outcome is in the log, `stray` if the log does not know
-- the attempt. Nothing is recorded for the last two.
create or replace function observe_late(
  in_actor text,
  in_message_id bigint,
  in_transaction_id text,
  in_attempt int,
  in_lease_ends_at timestamptz,
  in_outcome text,
  in_status_code int,
  in_duration_ms int,
  in_reason text,
  in_reference text default null
) returns text
language plpgsql volatile
set search_path = public, pg_temp
as $$
begin
  perform from message_states where message_id = in_message_id and transaction_id = in_transaction_id for no key update;
  if not found then
    return 'stray';
  end if;
  perform from message_events e
    where e.message_id = in_message_id and e.type = 'attempt_started' and e.attempt = in_attempt and e.actor = in_actor
      and e.due_at = in_lease_ends_at;
  if not found then
    return 'stray';
  end if;
  perform from message_events e
    where e.message_id = in_message_id and e.attempt = in_attempt and e.actor = in_actor and e.outcome = in_outcome
      and e.type in ('succeeded', 'attempt_failed', 'late_result_observed');
  if found then
    return 'already';
  end if;
  perform append_late(
    in_actor => in_actor,
    in_message_id => in_message_id,
    in_attempt => in_attempt,
    in_attempt_name => format('attempt %s', in_attempt),
    in_outcome => in_outcome,
    in_status_code => in_status_code,
    in_duration_ms => in_duration_ms,
    in_reason => in_reason,
    in_reference => in_reference);
  return 'late';
end
$$;
