-- Records an answer that came after its attempt had ended, or an answer of an attempt that is not in this log (`in_attempt`
-- null). An accepted answer is the truth: the message becomes `success` from any state, and an attempt that is open meanwhile
-- is abandoned as superseded in the same transaction. A failure is recorded and changes nothing.
--
-- Called by: observe_late, place_strays. The caller holds the lock on the message's row.
-- Returns: nothing.
create or replace function append_late(
  in_actor text,
  in_message_id bigint,
  in_attempt int,
  in_attempt_name text,
  in_outcome text,
  in_status_code int,
  in_duration_ms int,
  in_reason text,
  in_reference text default null
) returns void
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
  held message_states;
  written_at timestamptz;
begin
  select * into strict held from message_states where message_id = in_message_id;
  written_at := greatest(clock_timestamp(), held.recorded_at);
  if in_outcome = 'accepted' and held.status = 'processing' then
    insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, attempt, outcome,
        reason)
      values (in_message_id, held.version + 1, greatest(current_position(), held.position), written_at, 'attempt_abandoned',
        in_actor, 'failed', held.retry_count, held.attempts, 'unknown',
        format('superseded: %s was accepted late', in_attempt_name));
    held.version := held.version + 1;
    held.status := 'failed';
    held.due_at := null;
    held.lease_ends_at := null;
  end if;
  insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, attempt,
      outcome, status_code, duration_ms, reason, reference)
    values (in_message_id, held.version + 1, greatest(current_position(), held.position), written_at, 'late_result_observed',
      in_actor,
      case when in_outcome = 'accepted' then 'success' else held.status end,
      held.retry_count,
      case when in_outcome = 'accepted' then null else coalesce(held.due_at, held.lease_ends_at) end,
      in_attempt, in_outcome, in_status_code, in_duration_ms, in_reason, in_reference);
end
$$;
