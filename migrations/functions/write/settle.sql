-- Appends the outcomes of a batch of attempts.
--
-- An outcome counts while its attempt is open and held by the caller. Three things name an attempt: its payment, its number and
-- its lease. The message id and the number alone are not enough, because a failover that loses events gives both out again.
--
-- Called by: src/log/write/settle.ts. The arrays lie side by side, one element for each outcome. `in_delays_ms` is the delay
-- before the retry; null makes a failure a dead letter.
-- Returns: one answer for each outcome, in order, so that one old outcome never fails its batch:
--   appended  the attempt was open
--   already   the same outcome is in the log, as after a COMMIT whose answer was lost
--   late      the attempt had ended otherwise; the outcome was recorded as observed
--   stray     the log does not know the attempt, and nothing was recorded (see keep_stray)
create or replace function settle(
  in_actor text,
  in_message_ids bigint[],
  in_transaction_ids text[],
  in_attempts int[],
  in_leases timestamptz[],
  in_outcomes text[],
  in_status_codes int[],
  in_durations_ms int[],
  in_reasons text[],
  in_delays_ms bigint[]
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
  settled_at timestamptz := clock_timestamp();
  answers text[];
  late int;
begin
  with input as materialized (
    select i.*, m.version, m.retry_count, m.position, m.recorded_at,
      m.status = 'processing' and m.attempts = i.attempt and m.claimed_by = in_actor and m.due_at = i.lease_ends_at
        and m.transaction_id = i.transaction_id as is_open
    from (
      select * from unnest(in_message_ids, in_transaction_ids, in_attempts, in_leases, in_outcomes, in_status_codes,
          in_durations_ms, in_reasons, in_delays_ms)
        with ordinality as u(message_id, transaction_id, attempt, lease_ends_at, outcome, status_code, duration_ms, reason,
          delay_ms, place)
      order by u.message_id
    ) i
    left join lateral (
      select s.version, s.retry_count, s.position, s.recorded_at, s.status, s.attempts, s.claimed_by, s.due_at,
        s.transaction_id
      from message_states s where s.message_id = i.message_id limit 1 for no key update
    ) m on true
  ),
  appended as (
    insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, attempt,
      outcome, status_code, duration_ms, reason)
    select i.message_id, i.version + e.step, greatest((select current_position()), i.position),
      greatest(settled_at, i.recorded_at), e.type, in_actor, e.status, e.retry_count, e.due_at, i.attempt, e.outcome,
      e.status_code, e.duration_ms, e.reason
    from input i
    cross join lateral (
      select 1 as step, 'succeeded' as type, 'success' as status, i.retry_count, null::timestamptz as due_at, i.outcome,
        i.status_code, i.duration_ms, i.reason
      where i.outcome = 'accepted'
      union all
      select 1, 'attempt_failed', 'failed', i.retry_count + case when i.delay_ms is null then 0 else 1 end,
        greatest(settled_at, i.recorded_at) + i.delay_ms * interval '1 millisecond', i.outcome, i.status_code, i.duration_ms,
        i.reason
      where i.outcome <> 'accepted'
      union all
      select 2, 'dead_lettered', 'dead_letter', i.retry_count, null, null, null, null,
        case i.outcome when 'refused' then 'refused' else 'retries exhausted' end
      where i.outcome <> 'accepted' and i.delay_ms is null
    ) e
    where i.is_open
    order by 1, 2
  )
  select array_agg(case when i.is_open then 'appended' end order by i.place) into answers from input i;
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
      in_reason => in_reasons[late]);
  end loop;
  return answers;
end
$$;
