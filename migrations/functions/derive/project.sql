-- Brings the events of one statement into `message_states` and `event_positions`, counts them, and notifies whoever waits.
--
-- Called by: the trigger `project`, once for each statement that appends to `message_events`.
-- Returns: null, as a statement trigger does.
-- Refuses the whole statement, with the SQLSTATE 23000: a transition that `legal_transitions` does not list, and an event that
-- does not follow the last version of its message.
--
-- New messages come first, each with the attempt that was started in the same statement. Then come rounds: each round applies
-- the next event of every message, until no event is left. Nearly every statement has either new messages or one round. Rounds
-- are needed: a plain `update … from new_events` applied only one of two events of a message (measured).
create or replace function project() returns trigger
language plpgsql
set search_path = public, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  given record;
  steps record;
  events_left bigint;
begin
  -- The function that appended reads this before the transaction ends; see refuse_unprojected.
  perform set_config('tqp.projected', 'yes', true);
  select count(*) as events,
    count(*) filter (where e.version = 1) as first_ones,
    coalesce(bool_or(is_failure(e.type)), false) as fails,
    coalesce(bool_or(e.due_at is not null), false) as leaves_open,
    coalesce(bool_or(e.type = 'attempt_started' and e.due_at is not null), false) as starts,
    coalesce(bool_or(is_decision(e.type)), false) as decides,
    coalesce(bool_or(moves_letter(e.type, e.version, e.status)), false) as moves_letters,
    -- At least the transaction's own position, so the watermark passes it only after the transaction has ended.
    max(e.position) as position,
    -- Starting a statement costs for each segment; these two leave out the segments that have none of the messages.
    min(e.message_id) as first_id, max(e.message_id) as last_id
    into given from new_events e;
  -- A statement that appended nothing notifies nobody. An empty claim that notifies would wake itself: 11,476 looks in 3 s,
  -- measured.
  if given.events = 0 then
    return null;
  end if;
  events_left := given.events;
  insert into event_positions (position, message_ids)
    select e.position, array_agg(distinct e.message_id) from new_events e group by e.position;
  if given.starts then
    insert into lease_checks (lease_ends_at, position, actor)
      select max(e.due_at), e.position, e.actor from new_events e
      where e.type = 'attempt_started' and e.due_at is not null group by e.position, e.actor;
  end if;

  if given.first_ones > 0 then
    with chain as (
      select e.*,
        lag(e.type) over events as first_type,
        lag(e.status) over events as first_status,
        lag(e.transaction_id) over events as first_transaction_id,
        lag(e.recorded_at) over events as first_recorded_at,
        lead(e.type) over events as next_type
      from new_events e where e.version <= 2
      window events as (partition by e.message_id order by e.version)
    ),
    born as materialized (
      select c.message_id, c.version, c.position, c.recorded_at, c.type, c.actor, c.status, c.retry_count, c.due_at, c.attempt,
        c.reason, c.version = 2 as is_started,
        coalesce(c.first_type, c.type) as first_type,
        coalesce(c.first_status, c.status) as first_status,
        coalesce(c.first_transaction_id, c.transaction_id) as transaction_id,
        coalesce(c.first_recorded_at, c.recorded_at) as created_at
      from chain c
      where (c.version = 1 and c.next_type is distinct from 'attempt_started')
        or (c.version = 2 and c.type = 'attempt_started' and c.first_type is not null)
    ),
    stored as (
      insert into message_states (message_id, transaction_id, version, status, retry_count, attempts, due_at,
        lease_ends_at, queue, claimed_by, error_message, outcome_unknown, position, created_at, updated_at, recorded_at)
      select b.message_id, b.transaction_id, b.version, b.status, b.retry_count, coalesce(b.attempt, 0),
        case when not b.is_started then b.due_at end, case when b.is_started then b.due_at end, queue_of(b.status),
        case when b.is_started then b.actor end,
        case when b.status in ('failed', 'dead_letter') then b.reason end, false, b.position, b.created_at, b.recorded_at,
        b.recorded_at
      from born b
    ),
    -- A statement has many messages, but of few kinds. What all messages of a kind share is done once.
    kind as materialized (
      select b.first_type, b.first_status, b.is_started, b.status, b.retry_count,
        date_bin('1 minute', b.created_at, 'epoch') as created_minute,
        date_bin('1 minute', b.recorded_at, 'epoch') as minute,
        min(b.message_id) as example, count(*) as messages
      from born b group by 1, 2, 3, 4, 5, 6, 7
    ),
    step as materialized (
      select 'none' as from_status, k.first_type as type, k.first_status as status, k.created_minute as minute, k.example,
        k.messages
      from kind k
      union all
      select k.first_status, 'attempt_started', k.status, k.minute, k.example, k.messages from kind k where k.is_started
    ),
    retries as (
      select k.retry_count, sum(k.messages)::bigint as n from kind k group by 1
    )
    select array_agg(s.from_status) as from_statuses, array_agg(s.type) as types, array_agg(s.status) as to_statuses,
      array_agg(s.minute) as minutes, array_agg(s.example) as examples, array_agg(s.messages) as events,
      (select array_agg(r.retry_count) from retries r) as retry_counts, (select array_agg(r.n) from retries r) as retry_messages
      into steps
      from step s;
    events_left := events_left - count_steps(
      in_position => given.position,
      in_from_statuses => steps.from_statuses,
      in_types => steps.types,
      in_to_statuses => steps.to_statuses,
      in_outcomes => null,
      in_minutes => steps.minutes,
      in_examples => steps.examples,
      in_events => steps.events,
      in_rollup_minutes => array_fill('-infinity'::timestamptz, array[cardinality(steps.retry_counts)]),
      in_rollup_measures => array_fill('retries'::text, array[cardinality(steps.retry_counts)]),
      in_rollup_buckets => steps.retry_counts,
      in_rollup_counts => steps.retry_messages);
  end if;

  while events_left > 0 loop
    with step as materialized (
      select e.message_id, e.version, e.position, e.recorded_at, e.type, e.actor, e.status, e.retry_count, e.due_at, e.attempt,
        e.outcome, e.duration_ms, e.reason,
        -- A late failure changes nothing: the id in it may be an error's, and the payment may have been accepted meanwhile.
        case when e.type = 'late_result_observed' and e.outcome <> 'accepted' then s.reference
          else coalesce(e.reference, s.reference) end as reference,
        -- Whatever has a status without a due time is on hold, and may not be attempted.
        case when e.type = 'attempt_started' and s.due_at is null and s.status in ('pending', 'failed') then 'on_hold'
          else s.status end as prior_status,
        s.retry_count as prior_retry_count,
        s.is_slow as prior_slow, s.outcome_unknown as prior_unknown, s.outcome_unknown or coalesce(e.outcome = 'unknown', false) as outcome_unknown,
        s.created_at, s.transaction_id, s.attempts as prior_attempts, s.claimed_by as prior_claimed_by,
        s.error_message as prior_error_message, s.updated_at as prior_updated_at,
        date_bin('1 minute', e.recorded_at, 'epoch') as minute
      from new_events e
      cross join lateral (
        select m.* from message_states m
        where m.message_id = e.message_id and m.version = e.version - 1
          and m.message_id between given.first_id and given.last_id
        limit 1
      ) s
    ),
    -- Every message of a step has its row, so each of these inserts becomes an update. An update by name would prepare itself for each
    -- segment of the log; an insert finds its segment by the message id.
    moved as (
      insert into message_states as s (message_id, transaction_id, created_at, version, status, retry_count, attempts, due_at,
        lease_ends_at, queue, claimed_by, error_message, outcome_unknown, is_slow, position, updated_at, recorded_at, reference)
      select f.message_id, f.transaction_id, f.created_at, f.version, f.status, f.retry_count,
        -- A late result names an attempt before the last one.
        greatest(f.prior_attempts, f.attempt),
        case when f.status <> 'processing' then f.due_at end,
        case when f.status = 'processing' then f.due_at end,
        queue_of(f.status),
        case when f.type = 'attempt_started' then f.actor when f.status = 'processing' then f.prior_claimed_by end,
        case
          when f.type in ('succeeded', 'attempt_failed', 'attempt_abandoned', 'replayed')
              or (f.type = 'late_result_observed' and f.status = 'success')
            then case when f.status in ('failed', 'dead_letter') then f.reason end
          else f.prior_error_message end,
        f.outcome_unknown,
        f.status = 'failed' and case when f.type in ('attempt_failed', 'attempt_abandoned') then is_slow(f.duration_ms)
          else f.prior_slow end,
        f.position,
        case
          when f.status <> f.prior_status or f.retry_count <> f.prior_retry_count or f.type = 'attempt_started'
            then f.recorded_at
          else f.prior_updated_at end,
        f.recorded_at,
        f.reference
      from step f
      on conflict (message_id) do update set
        version = excluded.version,
        status = excluded.status,
        retry_count = excluded.retry_count,
        attempts = excluded.attempts,
        due_at = excluded.due_at,
        lease_ends_at = excluded.lease_ends_at,
        queue = excluded.queue,
        claimed_by = excluded.claimed_by,
        error_message = excluded.error_message,
        outcome_unknown = excluded.outcome_unknown,
        is_slow = excluded.is_slow,
        position = excluded.position,
        updated_at = excluded.updated_at,
        recorded_at = excluded.recorded_at,
        reference = excluded.reference
    ),
    kind as materialized (
      select f.prior_status, f.type, f.status, f.outcome, f.minute, min(f.message_id) as example, count(*) as events
      from step f group by 1, 2, 3, 4, 5
    ),
    duration as materialized (
      select d.minute, d.measure, latency_bucket(d.micros) as bucket, count(*) as n, max(d.micros)::bigint as longest
      from (
        select f.minute, 'end_to_end' as measure,
          round(date_part('epoch', f.recorded_at - f.created_at) * 1e6) as micros
        from step f where f.status = 'success' and f.prior_status <> 'success'
        union all
        select f.minute, 'attempt', f.duration_ms * 1000::double precision
        from step f where f.duration_ms is not null and f.type in ('succeeded', 'attempt_failed')
      ) d
      group by 1, 2, 3
    ),
    rollup as (
      select d.minute, d.measure, d.bucket, d.n from duration d
      union all
      select d.minute, d.measure || '_max', 0, max(d.longest) from duration d group by 1, 2
      union all
      select '-infinity', 'retries', m.retry_count, sum(m.n)::bigint
      from step f
      cross join lateral (values (f.retry_count, 1), (f.prior_retry_count, -1)) as m(retry_count, n)
      where f.retry_count <> f.prior_retry_count
      group by 3 having sum(m.n) <> 0
      union all
      select '-infinity', unknown_measure(u.status), 0, sum(u.n)::bigint
      from step f
      cross join lateral (
        select f.status, 1 as n
        union all
        select f.prior_status, -1 where f.prior_unknown
      ) u
      where f.outcome_unknown
      group by 2 having sum(u.n) <> 0
    )
    select array_agg(k.prior_status) as from_statuses, array_agg(k.type) as types, array_agg(k.status) as to_statuses,
      array_agg(k.outcome) as outcomes, array_agg(k.minute) as minutes, array_agg(k.example) as examples,
      array_agg(k.events) as events, r.minutes as rollup_minutes, r.measures, r.buckets, r.counts
      into steps
      from kind k
      cross join (
        select array_agg(minute) as minutes, array_agg(measure) as measures, array_agg(bucket) as buckets,
          array_agg(n) as counts
        from rollup
      ) r
      group by r.minutes, r.measures, r.buckets, r.counts;
    if steps.types is null then
      raise exception 'illegal transition: % event(s) of this statement follow no version that there is', events_left
        using errcode = 'integrity_constraint_violation';
    end if;
    events_left := events_left - count_steps(
      in_position => given.position,
      in_from_statuses => steps.from_statuses,
      in_types => steps.types,
      in_to_statuses => steps.to_statuses,
      in_outcomes => steps.outcomes,
      in_minutes => steps.minutes,
      in_examples => steps.examples,
      in_events => steps.events,
      in_rollup_minutes => steps.rollup_minutes,
      in_rollup_measures => steps.measures,
      in_rollup_buckets => steps.buckets,
      in_rollup_counts => steps.counts);
  end loop;

  -- A call of its own, so that only failures pay for a pattern.
  if given.fails then
    perform count_failures(array_agg(e.message_id), array_agg(e.recorded_at), array_agg(e.reason))
      from new_events e where is_failure(e.type) and e.reason is not null;
  end if;
  if given.decides then
    perform project_decisions(given.position, array_agg(distinct e.message_id))
      from new_events e where is_decision(e.type);
  end if;
  if given.moves_letters then
    perform count_letters(given.position, array_agg(e.message_id), array_agg(e.version))
      from new_events e where moves_letter(e.type, e.version, e.status);
  end if;
  perform pg_notify('message_events', '');
  if given.leaves_open then
    perform pg_notify('message_due', '');
  end if;
  return null;
end
$$;

create or replace trigger project after insert on message_events
  referencing new table as new_events
  for each statement execute function project();
