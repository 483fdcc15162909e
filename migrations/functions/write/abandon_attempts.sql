-- Ends attempts whose lease has ended without an outcome. It checks the same as settle_attempts from the other side: the attempt must
-- still be the open one, and `lease_ends_at` must allow a takeover of its lease.
--
-- Called by: src/log/write/abandon.ts, abandon. The arrays lie side by side, one element for each attempt. `in_delays_ms` is the delay
-- before the retry; null makes the message a dead letter. While the destination does not flow the attempt is spared, as in settle_attempts, and
-- `in_spared_delays_ms` is the delay where that one is null.
-- Returns: one answer for each attempt, in order: `appended`, `spared`, or `stale` if it was not ended.
create or replace function abandon_attempts(
  in_actor text,
  in_message_ids bigint[],
  in_attempts int[],
  in_leases timestamptz[],
  in_delays_ms bigint[],
  in_reconnected_at timestamptz,
  in_grace_ms bigint,
  in_spared_delays_ms bigint[]
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
  is_spared boolean := target.state <> 'flowing';
  abandoned_at timestamptz := clock_timestamp();
  answers text[];
begin
  with input as materialized (
    select i.message_id, i.attempt, i.place,
      case when is_spared then coalesce(i.delay_ms, i.spared_delay_ms) else i.delay_ms end as delay_ms,
      m.version, m.retry_count, m.position, m.recorded_at,
      coalesce(m.status = 'processing' and m.attempts = i.attempt and m.lease_ends_at = i.lease_ends_at
        and lease_ends_at(m.lease_ends_at, in_reconnected_at, in_grace_ms) <= abandoned_at, false) as is_expired
    from (
      select * from unnest(in_message_ids, in_attempts, in_leases, in_delays_ms, in_spared_delays_ms) with ordinality
        as u(message_id, attempt, lease_ends_at, delay_ms, spared_delay_ms, place)
      order by u.message_id
    ) i
    left join lateral (
      select s.version, s.retry_count, s.position, s.recorded_at, s.status, s.attempts, s.lease_ends_at
      from message_states s where s.message_id = i.message_id limit 1 for no key update
    ) m on true
  ),
  appended as (
    insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, attempt,
      outcome, reason)
    select i.message_id, i.version + e.step, greatest((select current_position()), i.position),
      greatest(abandoned_at, i.recorded_at), e.type, in_actor, e.status, e.retry_count, e.due_at, i.attempt, e.outcome, e.reason
    from input i
    cross join lateral (
      select 1 as step, 'attempt_abandoned' as type, 'failed' as status,
        i.retry_count + case when is_spared or i.delay_ms is null then 0 else 1 end as retry_count,
        greatest(abandoned_at, i.recorded_at) + i.delay_ms * interval '1 millisecond' as due_at, 'unknown' as outcome,
        'abandoned: its lease ended with no outcome' as reason
      union all
      select 2, 'dead_lettered', 'dead_letter', i.retry_count, null, null, 'retries exhausted'
      where i.delay_ms is null
    ) e
    where i.is_expired
    order by 1, 2
  )
  select array_agg(case when not i.is_expired then 'stale' when is_spared then 'spared' else 'appended' end order by i.place)
    into answers from input i;
  perform refuse_unprojected();
  -- Nobody knows what became of a probe that was abandoned; the next one follows.
  update destinations d set probe_message_id = null, probe_attempt = null, probe_ends_at = null
    where target.state = 'held' and d.destination = target.destination and d.probe_message_id = any (in_message_ids)
      and not exists (
        select from message_states m
        where m.message_id = d.probe_message_id and m.status = 'processing' and m.attempts = d.probe_attempt
      );
  if found then
    perform pg_notify('destination_changed', target.destination);
  end if;
  return answers;
end
$$;
