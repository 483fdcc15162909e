-- Derives from the decisions how each destination stands, and repairs what differs, while the service runs. Only a row that differs is
-- written. Its counts begin at 0. A destination that is held is probed at once, and the waits begin at 5 s, the default of PROBE_EVERY.
-- A processor that had asked for less gets one attempt a second, and twice as many each second.
-- The probe that is open is found again, so that no second one starts beside it.
--
-- Called by: src/log/write/rebuild.ts (`npm run rebuild`). It waits for the transactions that have entered a destination that differs (see
-- enter_destination).
-- Returns: one row for each column that differed; next_probe_at is `missing` or `set`. `field` is null for a row that was missing (`was`
-- null).
create or replace function rebuild_destinations() returns table (destination text, field text, was text, became text)
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
  name text;
  stored jsonb;
  decided jsonb;
  held_at bigint;
begin
  for name in
    select 'default' union select d.destination from destinations d union select c.destination from destination_decisions c
    order by 1
  loop
    -- Twice: first without a lock, for which everything that is sent would have to wait.
    for look in 1 .. 2 loop
      if look = 2 then
        perform pg_advisory_xact_lock(hashtextextended('destination ' || name, 0));
      end if;
      select to_jsonb(s) into stored
        from (
          select d.decision, d.state_decision, d.state, d.cause, d.since, d.until, d.rate_limit, d.rate_burst,
            d.throttled_at is not null as is_throttled,
            case when d.state = 'held' and (d.next_probe_at is null or d.probe_delay_ms is null) then 'missing' else 'set' end
              as next_probe_at
          from destinations d where d.destination = name
        ) s;
      select to_jsonb(l), case when l.state = 'held' then l.position end into decided, held_at
        from (
          select coalesce(c.decision, 0) as decision, b.decision as state_decision, coalesce(b.state, 'flowing') as state, b.cause,
            b.recorded_at as since, b.until, c.rate_limit, c.rate_burst, coalesce(t.cause = 'throttled', false) as is_throttled,
            'set' as next_probe_at, b.position
          from (values (1)) as one
          left join lateral (
            select a.* from destination_decisions a where a.destination = name order by a.decision desc limit 1
          ) c on true
          left join lateral (
            select a.* from destination_decisions a
            where a.destination = name and a.cause not in ('rate', 'setting', 'throttled', 'unthrottled')
            order by a.decision desc limit 1
          ) b on true
          left join lateral (
            select a.cause from destination_decisions a
            where a.destination = name and a.cause in ('throttled', 'unthrottled')
            order by a.decision desc limit 1
          ) t on true
        ) l;
      decided := decided - 'position';
      exit when stored is not distinct from decided;
    end loop;
    continue when stored is not distinct from decided;
    insert into destinations as d (destination, decision, state_decision, state, cause, since, until, rate_limit, rate_burst,
        throttled_at, throttled_rate, next_probe_at, probe_delay_ms, probe_message_id, probe_attempt, probe_ends_at)
      select name, r.decision, r.state_decision, r.state, r.cause, r.since, r.until, r.rate_limit, r.rate_burst,
        case when r.is_throttled then clock_timestamp() end, case when r.is_throttled then 1 end,
        case when held_at is not null then clock_timestamp() end, case when held_at is not null then 5000 end,
        p.message_id, p.attempts, p.lease_ends_at
      from jsonb_to_record(decided) as r(decision int, state_decision int, state text, cause text, since timestamptz,
        until timestamptz, rate_limit double precision, rate_burst int, is_throttled boolean)
      left join lateral (
        select m.message_id, m.attempts, m.lease_ends_at
        from (
          select u.message_id from lease_checks k
          join event_positions e on e.position = k.position
          cross join lateral unnest(e.message_ids) as u(message_id)
          where k.position > held_at
          union
          select o.message_id from overdue_attempts o
        ) s
        join message_states m on m.message_id = s.message_id and m.status = 'processing'
        join message_events e on e.message_id = m.message_id and e.type = 'attempt_started' and e.attempt = m.attempts
        where e.position > held_at
        order by e.position desc limit 1
      ) p on true
      on conflict (destination) do update set decision = excluded.decision, state_decision = excluded.state_decision,
        rate_limit = excluded.rate_limit, rate_burst = excluded.rate_burst, throttled_at = excluded.throttled_at,
        throttled_rate = excluded.throttled_rate, throttled_from = null, not_before = null, state = excluded.state, cause = excluded.cause,
        since = excluded.since, until = excluded.until, failures = 0, refusals = 0, last_reason = null, probes = 0,
        next_probe_at = excluded.next_probe_at, probe_delay_ms = excluded.probe_delay_ms,
        probe_message_id = excluded.probe_message_id, probe_attempt = excluded.probe_attempt,
        probe_ends_at = excluded.probe_ends_at;
    perform pg_notify('destination_changed', name);
    return query
      select name, c.field, c.was, c.became
      from (
        select b.key as field, s.value as was, b.value as became
        from jsonb_each_text(decided) b join jsonb_each_text(stored) s on s.key = b.key
        where s.value is distinct from b.value
        union all
        select null, null, decided ->> 'state' where stored is null
      ) c
      order by c.field;
  end loop;
end
$$;
