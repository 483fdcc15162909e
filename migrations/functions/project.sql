-- Folds the events of one statement into `message_states`, counts what moved and what the minute's rollups get of it, and wakes
-- who waits. All events of a message are folded together in version order: a plain `update … from new_events` applied one of two (measured). An illegal
-- transition or a gap in the versions refuses the whole statement.
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
  folded record;
begin
  with chain as (
    select
      e.message_id, e.version, e.position, e.recorded_at, e.type, e.actor, e.status, e.retry_count, e.due_at, e.attempt,
      e.outcome, e.duration_ms, e.reason, e.transaction_id,
      lag(e.version) over events as before_version,
      lag(e.status) over events as before_status,
      lag(e.retry_count) over events as before_retry_count,
      lag(e.recorded_at) over events as before_recorded_at,
      lag(e.transaction_id) over events as before_transaction_id,
      lead(e.version) over events is null as is_last,
      e.version = 1 and lead(e.type) over events = 'attempt_started' and lead(e.version, 2) over events is null as is_fused
    from new_events e
    window events as (partition by e.message_id order by e.version)
  ),
  link as materialized (
    select
      c.message_id, c.version, c.position, c.recorded_at, c.type, c.actor, c.status, c.retry_count, c.due_at, c.attempt,
      c.outcome, c.duration_ms, c.reason, c.transaction_id, c.is_last, c.before_recorded_at, c.before_transaction_id,
      c.is_fused or (c.is_last and c.type = 'attempt_started' and c.before_version = 1) as is_fused,
      date_bin('1 minute', c.recorded_at, 'epoch') as minute,
      c.before_version is null as is_first,
      p.version as prior_version, p.status as prior_status, p.retry_count as prior_retry_count, s.created_at,
      s.outcome_unknown as prior_unknown,
      c.status <> p.status or c.retry_count <> p.retry_count or c.type = 'attempt_started' as updates,
      c.status = 'success' and p.status <> 'success' as succeeds,
      c.type in ('received', 'succeeded', 'attempt_failed', 'attempt_abandoned', 'replayed', 'rejected')
        or (c.type = 'conflict_received' and c.version = 1)
        or (c.type = 'late_result_observed' and c.status = 'success') as sets_error
    from chain c
    -- Only the first event of an older message in the statement needs what is stored.
    left join lateral (
      select m.version, m.status, m.retry_count, m.created_at, m.outcome_unknown from message_states m
      where m.message_id = c.message_id and c.before_version is null and c.version > 1 limit 1
    ) s on true
    cross join lateral (
      select coalesce(c.before_version, s.version, 0) as version, coalesce(c.before_status, s.status, 'none') as status,
        coalesce(c.before_retry_count, s.retry_count, 0) as retry_count
    ) p
  ),
  -- A statement has many events of few kinds: what is the same for all of a kind is done once.
  kind as materialized (
    select l.prior_status, l.type, l.status, l.version - l.prior_version as step, l.outcome, l.minute,
      min(l.message_id) as example, count(*) as events
    from link l group by 1, 2, 3, 4, 5, 6
  ),
  illegal as (
    select k.example, k.type, k.prior_status, k.step, k.status
    from kind k
    left join legal_transitions t
      on t.from_status = k.prior_status and t.type = k.type and t.to_status = k.status
    where t.type is null or k.step <> 1
    limit 1
  ),
  fold as materialized (
    -- Nearly every message has one event in a statement, and nothing to aggregate: 3 µs a message cheaper than below.
    select
      l.message_id,
      l.version as first_version,
      l.version,
      l.prior_status,
      l.prior_retry_count,
      coalesce(l.prior_unknown, false) as prior_unknown,
      l.status,
      l.retry_count,
      l.due_at,
      l.attempt as attempts,
      case when l.type = 'attempt_started' then l.actor end as claimed_by,
      l.sets_error,
      case when l.sets_error and l.status in ('failed', 'dead_letter') then l.reason end as error_message,
      coalesce(l.outcome = 'unknown', false) as outcome_unknown,
      l.position,
      l.recorded_at,
      case when l.updates then l.recorded_at end as updated_at,
      coalesce(l.created_at, l.recorded_at) as created_at,
      case when l.succeeds then l.recorded_at end as succeeded_at,
      l.transaction_id
    from link l
    where l.is_first and l.is_last
    union all
    -- And nearly every other is new and started at once: its second event knows the rest.
    select
      l.message_id, 1, 2, 'none', 0, false, l.status, l.retry_count, l.due_at, l.attempt, l.actor, true, null, false, l.position,
      l.recorded_at, l.recorded_at, l.before_recorded_at, null, l.before_transaction_id
    from link l
    where l.is_fused and l.is_last
    union all
    select
      message_id,
      min(version),
      max(version),
      max(prior_status) filter (where is_first),
      max(prior_retry_count) filter (where is_first),
      coalesce(bool_or(prior_unknown), false),
      max(status) filter (where is_last),
      max(retry_count) filter (where is_last),
      max(due_at) filter (where is_last),
      max(attempt),
      (array_agg(actor order by version desc) filter (where type = 'attempt_started'))[1],
      bool_or(sets_error),
      (array_agg(case when status in ('failed', 'dead_letter') then reason end order by version desc)
        filter (where sets_error))[1],
      coalesce(bool_or(outcome = 'unknown'), false),
      max(position),
      max(recorded_at),
      max(recorded_at) filter (where updates),
      min(coalesce(created_at, recorded_at)),
      max(recorded_at) filter (where succeeds),
      max(transaction_id)
    from link
    where not (is_first and is_last or is_fused)
    group by message_id
  ),
  born as (
    insert into message_states (message_id, transaction_id, version, status, retry_count, attempts, due_at, claimed_by,
      error_message, outcome_unknown, position, created_at, updated_at, recorded_at)
    select message_id, transaction_id, version, status, retry_count, coalesce(attempts, 0), due_at,
      case when status = 'processing' then claimed_by end, error_message, outcome_unknown, position, created_at, updated_at,
      recorded_at
    from fold where first_version = 1
  ),
  moved as (
    update message_states s set
      version = f.version,
      status = f.status,
      retry_count = f.retry_count,
      -- A late result names an attempt before the last one.
      attempts = greatest(s.attempts, f.attempts),
      due_at = f.due_at,
      claimed_by = case when f.status = 'processing' then coalesce(f.claimed_by, s.claimed_by) end,
      error_message = case when f.sets_error then f.error_message else s.error_message end,
      outcome_unknown = s.outcome_unknown or f.outcome_unknown,
      position = f.position,
      updated_at = coalesce(f.updated_at, s.updated_at),
      recorded_at = f.recorded_at
    from fold f
    where f.first_version > 1 and s.message_id = f.message_id
  ),
  duration as materialized (
    select t.minute, t.measure, latency_bucket(t.micros) as bucket, count(*) as n, max(t.micros)::bigint as longest
    from (
      select date_bin('1 minute', f.succeeded_at, 'epoch') as minute, 'end_to_end' as measure,
        round(date_part('epoch', f.succeeded_at - f.created_at) * 1e6) as micros
      from fold f where f.succeeded_at is not null
      union all
      select l.minute, 'attempt', l.duration_ms * 1000::double precision
      from link l where l.duration_ms is not null and l.type in ('succeeded', 'attempt_failed')
    ) t
    group by 1, 2, 3
  ),
  rollup as (
    select k.minute, m.measure, 0 as bucket, sum(k.events)::bigint as n
    from kind k
    cross join lateral (
      select event_measure(k.type, k.outcome, k.prior_status = 'none', k.status = 'success' and k.prior_status <> 'success')
        as measure
    ) m
    where m.measure is not null
    group by 1, 2
    union all
    select d.minute, d.measure, d.bucket, d.n from duration d
    union all
    select d.minute, d.measure || '_max', 0, max(d.longest) from duration d group by 1, 2
    union all
    select '-infinity', 'retries', r.retry_count, sum(r.n)::bigint
    from (
      select 0 as retry_count, k.events as n from kind k where k.prior_status = 'none'
      union all
      select m.retry_count, m.n
      from link l
      cross join lateral (values (l.retry_count, 1), (l.prior_retry_count, -1)) as m(retry_count, n)
      where l.retry_count <> l.prior_retry_count
    ) r
    group by 3 having sum(r.n) <> 0
    union all
    select '-infinity', unknown_measure(u.status), 0, sum(u.n)::bigint
    from fold f
    cross join lateral (
      select f.status, 1 as n
      union all
      select f.prior_status, -1 where f.prior_unknown
    ) u
    where f.outcome_unknown or f.prior_unknown
    group by 2 having sum(u.n) <> 0
  )
  select
    k.*,
    r.*,
    exists (select from fold f where f.status in ('pending', 'processing', 'failed')) as leaves_open,
    (select format('message %s: from %s by %s to %s, %s version(s) on', i.example, i.prior_status, i.type, i.status, i.step)
      from illegal i) as illegal
  into folded
  from (
    -- What each event moved adds up to what its message moved.
    select
      coalesce(sum(events), 0) as events,
      sum(events) filter (where type in ('attempt_failed', 'attempt_abandoned', 'rejected')) as failures,
      coalesce(sum(events) filter (where status = 'pending'), 0)
        - coalesce(sum(events) filter (where prior_status = 'pending'), 0) as pending,
      coalesce(sum(events) filter (where status = 'processing'), 0)
        - coalesce(sum(events) filter (where prior_status = 'processing'), 0) as processing,
      coalesce(sum(events) filter (where status = 'success'), 0)
        - coalesce(sum(events) filter (where prior_status = 'success'), 0) as success,
      coalesce(sum(events) filter (where status = 'failed'), 0)
        - coalesce(sum(events) filter (where prior_status = 'failed'), 0) as failed,
      coalesce(sum(events) filter (where status = 'dead_letter'), 0)
        - coalesce(sum(events) filter (where prior_status = 'dead_letter'), 0) as dead_letter
    from kind
  ) k
  cross join (
    select array_agg(minute) as minutes, array_agg(measure) as measures, array_agg(bucket) as buckets, array_agg(n) as counts
    from rollup
  ) r;

  if folded.illegal is not null then
    raise exception 'illegal transition: %', folded.illegal using errcode = 'integrity_constraint_violation';
  end if;
  -- A statement that appended nothing wakes nobody: an empty claim that notifies wakes itself (11,476 looks in 3 s measured).
  if folded.events = 0 then
    return null;
  end if;
  insert into status_count_deltas (position, pending, processing, success, failed, dead_letter, minutes, measures, buckets,
      counts)
    values (current_position(), folded.pending, folded.processing, folded.success, folded.failed, folded.dead_letter,
      folded.minutes, folded.measures, folded.buckets, folded.counts);
  -- Apart, so that only what failed pays for its pattern.
  if folded.failures > 0 then
    perform count_failures(array_agg(e.message_id), array_agg(e.recorded_at), array_agg(e.reason))
      from new_events e where e.type in ('attempt_failed', 'attempt_abandoned', 'rejected') and e.reason is not null;
  end if;
  perform pg_notify('message_events', '');
  if folded.leaves_open then
    perform pg_notify('message_due', '');
  end if;
  return null;
end
$$;

create or replace trigger project after insert on message_events
  referencing new table as new_events
  for each statement execute function project();
