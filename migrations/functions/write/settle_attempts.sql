-- Appends the outcomes of a batch of attempts, and counts what they say of the destination.
--
-- An outcome counts while its attempt is open and held by the caller. Three things name an attempt: its payment, its number and
-- its lease. The message id and the number alone are not enough, because a failover that loses events gives both out again.
--
-- Called by: src/log/write/settle.ts. The arrays lie side by side, one element for each outcome. `in_delays_ms` is the delay before the
-- retry; null makes a failure a dead letter. `not_sent` with a duration of null says that the attempt waited in its lane: its retry uses
-- up none of those that the message has. A failure that comes while the destination does not flow is spared: it uses up no retry and
-- exhausts none. `in_spared_delays_ms` is its delay where `in_delays_ms` is null; if both are null, no failure of that kind is retried.
-- `in_references` is what the answers call the payments; null if none of them calls its payment anything.
-- The order of the arrays is that in which the attempts ended; see note_verdicts for `in_verdicts`, which is null if all succeeded.
-- Returns: one answer for each outcome, in order, so that one old outcome never fails its batch:
--   appended  the attempt was open
--   spared    the attempt was open, and its failure used up no retry
--   already   the same outcome is in the log, as after a COMMIT whose answer was lost
--   late      the attempt had ended otherwise; the outcome was recorded as observed
--   stray     the log does not know the attempt, and nothing was recorded (see keep_stray)
create or replace function settle_attempts(
  in_actor text,
  in_message_ids bigint[],
  in_transaction_ids text[],
  in_attempts int[],
  in_leases timestamptz[],
  in_outcomes text[],
  in_status_codes int[],
  in_durations_ms int[],
  in_reasons text[],
  in_delays_ms bigint[],
  in_spared_delays_ms bigint[],
  in_verdicts text[],
  in_references text[] default null
) returns text[]
language plpgsql volatile security definer
set search_path = public, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  target destinations := enter_destination('default');
  spares boolean := target.state <> 'flowing';
  settled_at timestamptz := clock_timestamp();
  -- The planner's start of a statement costs for each segment; these two leave out the segments that have none of the messages.
  first_id bigint := (select min(u.id) from unnest(in_message_ids) as u(id));
  last_id bigint := (select max(u.id) from unnest(in_message_ids) as u(id));
  verdicts text[] := in_verdicts;
  answers text[];
  late int;
begin
  -- What was sent before the ramp says nothing of how the destination does since.
  if target.state = 'ramping' and in_verdicts is not null then
    select array_agg(case when u.verdict = 'failure' and s.position < d.position then 'none' else u.verdict end order by u.place)
      into verdicts
      from unnest(in_message_ids, in_verdicts) with ordinality as u(message_id, verdict, place)
      left join message_states s on s.message_id = u.message_id
      left join destination_decisions d on d.destination = target.destination and d.decision = target.state_decision;
  end if;
  -- A statement of its own locks the messages. One that locks and reads loses rows after it has waited for a lock, where segments are left
  -- out both by these bounds and by each message's id (PostgreSQL 18; test/log/write/segments-locked.test.ts).
  perform from message_states s
    where s.message_id = any (in_message_ids) and s.message_id between first_id and last_id
    order by s.message_id for no key update;
  with input as materialized (
    select i.message_id, i.attempt, i.outcome, i.status_code, i.duration_ms, i.reason, i.reference, i.place, i.spared_delay_ms, w.is_spared,
      case when w.is_spared then coalesce(i.delay_ms, i.spared_delay_ms) else i.delay_ms end as delay_ms,
      m.version, m.retry_count, m.position, m.recorded_at,
      m.status = 'processing' and m.attempts = i.attempt and m.claimed_by = in_actor and m.lease_ends_at = i.lease_ends_at
        and m.transaction_id = i.transaction_id as is_open
    from (
      select * from unnest(in_message_ids, in_transaction_ids, in_attempts, in_leases, in_outcomes, in_status_codes,
          in_durations_ms, in_reasons, in_delays_ms, in_spared_delays_ms, in_references)
        with ordinality as u(message_id, transaction_id, attempt, lease_ends_at, outcome, status_code, duration_ms, reason,
          delay_ms, spared_delay_ms, reference, place)
      order by u.message_id
    ) i
    cross join lateral (
      select spares and i.outcome not in ('accepted', 'refused') and (i.delay_ms is not null or i.spared_delay_ms is not null) as is_spared
    ) w
    left join lateral (
      select s.version, s.retry_count, s.position, s.recorded_at, s.status, s.attempts, s.claimed_by, s.lease_ends_at,
        s.transaction_id
      from message_states s
      where s.message_id = i.message_id and s.message_id between first_id and last_id limit 1
    ) m on true
  ),
  appended as (
    insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, attempt,
      outcome, status_code, duration_ms, reason, reference)
    select i.message_id, i.version + e.step, greatest((select current_position()), i.position),
      greatest(settled_at, i.recorded_at), e.type, in_actor, e.status, e.retry_count, e.due_at, i.attempt, e.outcome,
      e.status_code, e.duration_ms, e.reason, e.reference
    from input i
    cross join lateral (
      select 1 as step, 'succeeded' as type, 'success' as status, i.retry_count, null::timestamptz as due_at, i.outcome,
        i.status_code, i.duration_ms, i.reason, i.reference
      where i.outcome = 'accepted'
      union all
      select 1, 'attempt_failed', 'failed',
        i.retry_count + case
          when i.is_spared or i.delay_ms is null or i.outcome = 'not_sent' and i.duration_ms is null then 0 else 1 end,
        greatest(settled_at, i.recorded_at) + i.delay_ms * interval '1 millisecond', i.outcome, i.status_code, i.duration_ms,
        i.reason, i.reference
      where i.outcome <> 'accepted'
      union all
      select 2, 'dead_lettered', 'dead_letter', i.retry_count, null, null, null, null,
        case
          when i.outcome = 'refused' then 'refused'
          when i.outcome = 'unknown' and i.spared_delay_ms is null then 'outcome unknown, of a status that is not retried'
          else 'retries exhausted' end, null
      where i.outcome <> 'accepted' and i.delay_ms is null
    ) e
    where i.is_open
    order by 1, 2
  )
  select array_agg(case when i.is_open then case when i.is_spared then 'spared' else 'appended' end end order by i.place) into answers from input i;
  perform refuse_unprojected();

  for late in select place from unnest(answers) with ordinality as a(answer, place) where answer is null
    order by in_message_ids[place]
  loop
    answers[late] := observe_late(
      in_actor => in_actor,
      in_message_id => in_message_ids[late],
      in_transaction_id => in_transaction_ids[late],
      in_attempt => in_attempts[late],
      in_lease_ends_at => in_leases[late],
      in_outcome => in_outcomes[late],
      in_status_code => in_status_codes[late],
      in_duration_ms => in_durations_ms[late],
      in_reason => in_reasons[late],
      in_reference => in_references[late]);
  end loop;
  -- Nothing is written while all attempts succeed. What was in the log already was counted when it was appended.
  if (in_verdicts is not null or target.state <> 'flowing' or target.failures > 0 or target.refusals > 0)
      and exists (select from unnest(answers) as a(answer) where a.answer <> 'already') then
    perform note_verdicts(target.destination, in_message_ids, in_attempts, verdicts, in_reasons);
  end if;
  return answers;
end
$$;
