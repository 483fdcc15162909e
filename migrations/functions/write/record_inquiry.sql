-- Records what the processor answered when it was asked about a message in doubt, and what follows:
--   carried_out  the message is a success, as after a late acceptance of its last attempt
--   refused      it is a dead letter
--   not_found    after the first one it is asked again `in_gap_ms` later; after the second one in a row it is due at once
--   in_progress, no_answer  it is asked again after `in_delay_ms`
--
-- `in_reference` is what the answer calls the payment, if it does.
--
-- Called by: src/log/write/inquiry.ts. The inquiry is named by the payment and the end of its lease. `in_verdict` is as in note_verdicts,
-- and counts only if the inquiry was the probe of a held destination. Returns: `recorded`, or `stale` if the message has changed since, as
-- by a hold: then nothing is recorded.
create or replace function record_inquiry(
  in_actor text,
  in_message_id bigint,
  in_transaction_id text,
  in_lease_ends_at timestamptz,
  in_inquiry text,
  in_status_code int,
  in_duration_ms int,
  in_reason text,
  in_gap_ms bigint,
  in_delay_ms bigint,
  in_verdict text,
  in_reference text default null
) returns text
language plpgsql volatile security definer
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
  target destinations := enter_destination('default');
  held message_states;
  written_at timestamptz;
  delay_ms bigint;
begin
  if in_inquiry is null or in_inquiry not in ('carried_out', 'refused', 'in_progress', 'not_found', 'no_answer') then
    raise exception 'there is no answer %', in_inquiry using errcode = 'invalid_parameter_value';
  end if;
  select * into held from message_states s where s.message_id = in_message_id for no key update;
  if not found or held.status not in ('pending', 'failed') or held.transaction_id <> in_transaction_id
      or held.due_at is distinct from in_lease_ends_at then
    return 'stale';
  end if;
  written_at := greatest(clock_timestamp(), held.recorded_at);
  delay_ms := case in_inquiry
      when 'not_found' then case when coalesce((select d.not_founds from doubt_of(in_message_id) d), 0) >= 1 then 0 else in_gap_ms end
      when 'in_progress' then in_delay_ms
      when 'no_answer' then in_delay_ms
    end;
  insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, inquiry, status_code,
      duration_ms, reason, reference)
    values (in_message_id, held.version + 1, greatest(current_position(), held.position), written_at, 'inquired', in_actor, held.status,
      held.retry_count, written_at + delay_ms * interval '1 millisecond', in_inquiry, in_status_code, in_duration_ms, in_reason, in_reference);
  if in_inquiry = 'carried_out' then
    -- A failover may have lost every attempt.
    perform append_late(in_actor, in_message_id, nullif(held.attempts, 0), format('attempt %s', held.attempts), 'accepted', null, null,
      'the processor said so when it was asked');
  elsif in_inquiry = 'refused' then
    insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, reason)
      values (in_message_id, held.version + 2, greatest(current_position(), held.position), written_at, 'dead_lettered', in_actor,
        'dead_letter', held.retry_count, 'refused');
  end if;
  perform refuse_unprojected();
  -- As the probe of a held destination it says whether that works again. Otherwise a status address says nothing of whether payments are
  -- taken: it neither holds the destination nor ends a row of failures.
  if target.state = 'held' and target.probe_message_id = in_message_id and target.probe_attempt is null then
    perform note_verdicts(target.destination, array[in_message_id], array[null::int],
      array[case in_verdict when 'failure' then 'failure' else 'other' end], array[in_reason]);
  end if;
  return 'recorded';
end
$$;
