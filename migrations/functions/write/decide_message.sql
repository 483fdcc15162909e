-- Records an operator's decision about one message, as one event. It locks the message's row, as a claim does. So either the claim
-- was first and the decision is refused, or the decision was first and no claim sees the message.
--
-- `in_decision` is one of
--   hold     a message that is pending or failed is not attempted until it is released
-- release it is due again when it was due before the hold, as when its backoff or the gap between two inquiries is over; at once if that
-- has passed
--   cancel   a message that is pending or failed becomes a dead letter without another attempt, also while it is on hold
--   resolve  a dead letter of any cause is closed as `in_resolution`, with `in_evidence` if there is any. Its status stays.
--   reopen   a resolved dead letter is open again. Only then can it be replayed.
--
-- Called by: src/log/write/decide-message.ts.
-- Returns: one row. `version` and `status` are those of the message, after the event if there was one. `answer` is one of
--   decided            the event is appended
--   already_started    the attempt `attempt` is open; hold and cancel come too late
--   already_ended      the message is a success or a dead letter, so there is nothing to hold or to cancel
--   already_held       it is on hold: by `actor`, since `since`, for `reason`
--   not_held           it is not on hold
--   not_a_dead_letter  only a dead letter can be resolved or reopened
--   already_resolved   it is resolved as `resolution`: by `actor`, since `since`, for `reason`
--   not_resolved       it is a dead letter, and open already
--   unknown            there is no such message in the database; it may be archived
-- Refuses: a decision without an actor or a reason, and a resolution that is none or that does not belong there.
create or replace function decide_message(
  in_transaction_id text,
  in_decision text,
  in_actor text,
  in_reason text,
  in_resolution text default null,
  in_evidence text default null
) returns table (answer text, version int, status text, attempt int, resolution text, actor text, since timestamptz, reason text)
language plpgsql volatile security definer
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
  id bigint;
  found_state message_states;
  stands record;
  decided_at timestamptz;
begin
  if coalesce(btrim(in_actor), '') = '' or coalesce(btrim(in_reason), '') = '' then
    raise exception 'a decision takes an actor and a reason' using errcode = 'invalid_parameter_value';
  end if;
  if in_decision is null or in_decision not in ('hold', 'release', 'cancel', 'resolve', 'reopen') then
    raise exception 'there is no decision %', in_decision using errcode = 'invalid_parameter_value';
  end if;
  if (in_decision = 'resolve') <> coalesce(in_resolution in ('carried_out', 'not_carried_out', 'duplicate', 'ignored'), false)
      or in_decision <> 'resolve' and (in_resolution is not null or in_evidence is not null) then
    raise exception 'the decision % with the resolution %', in_decision, in_resolution using errcode = 'invalid_parameter_value';
  end if;
  select b.message_id into id from inbox b where b.transaction_id = in_transaction_id collate "C";
  select * into found_state from message_states s where s.message_id = id for no key update;
  if not found then
    return query select 'unknown', null::int, null::text, null::int, null::text, null::text, null::timestamptz, null::text;
    return;
  end if;
  -- A statement of its own, because it sees what the other decision did that the one above waited for.
  select d.version, d.resolution, e.actor, e.recorded_at, e.reason into stands
    from (values (id)) as m (message_id)
    left join decided_messages d on d.message_id = m.message_id
    left join message_events e on e.message_id = d.message_id and e.version = d.version;
  answer := case
    when in_decision = 'release' then case when stands.version is null or stands.resolution is not null then 'not_held' end
    when in_decision in ('resolve', 'reopen') then
      case
        when found_state.status <> 'dead_letter' then 'not_a_dead_letter'
        when in_decision = 'resolve' and stands.resolution is not null then 'already_resolved'
        when in_decision = 'reopen' and stands.resolution is null then 'not_resolved'
      end
    when found_state.status = 'processing' then 'already_started'
    when found_state.status in ('success', 'dead_letter') then 'already_ended'
    when in_decision = 'hold' and stands.version is not null then 'already_held'
  end;
  version := found_state.version;
  status := found_state.status;
  if answer = 'already_started' then
    attempt := found_state.attempts;
  end if;
  if answer in ('already_held', 'already_resolved') then
    resolution := stands.resolution;
    actor := stands.actor;
    since := stands.recorded_at;
    reason := stands.reason;
  end if;
  if answer is null then
    answer := 'decided';
    version := found_state.version + 1;
    status := case in_decision when 'cancel' then 'dead_letter' else found_state.status end;
    decided_at := greatest(clock_timestamp(), found_state.recorded_at);
    insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, reason,
        resolution, evidence)
      select id, found_state.version + 1, greatest(current_position(), found_state.position), decided_at,
        case in_decision when 'hold' then 'held' when 'release' then 'released' when 'cancel' then 'cancelled'
          when 'resolve' then 'resolved' else 'reopened' end,
        in_actor, case in_decision when 'cancel' then 'dead_letter' else found_state.status end, found_state.retry_count,
        -- Never before now: a lane does not look again at times that it has passed.
        case when in_decision = 'release' then greatest(decided_at, (
          select e.due_at from message_events e
          where e.message_id = id and e.version = stands.version - 1
        )) end,
        in_reason, in_resolution, in_evidence;
    perform refuse_unprojected();
  end if;
  return next;
end
$$;
