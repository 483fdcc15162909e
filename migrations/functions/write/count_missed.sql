-- Counts the messages of a status that have been due for over ten seconds, up to a thousand. It is an alarm: nothing should be due for so
-- long, unless its destination is held, paused or ramping, or has a pace. Of attempts whose lease has ended (`processing`), only those of
-- instances that are gone count.
--
-- Called by: src/log/write/count-missed.ts (the sweep). Returns: the number; null if it would be 0 and some are due all the same: the
-- destination is a reason for that, or an instance that is not gone.
create or replace function count_missed(in_status text, in_reconnected_at timestamptz, in_grace_ms bigint) returns int
language plpgsql volatile security definer
set search_path = public, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  long_ago timestamptz := clock_timestamp() - interval '10 seconds';
  listening text[];
  missed int;
begin
  if in_status = 'processing' and lease_ends_at('-infinity', in_reconnected_at, in_grace_ms) > long_ago then
    return 0;
  end if;
  if in_status <> 'processing' and exists (select from destinations d where d.destination = 'default'
      and (d.state <> 'flowing' or d.rate_limit is not null or d.throttled_at is not null)) then
    return case when not exists (
      select from message_states s where s.queue = in_status and s.due_at is not null and s.due_at <= long_ago
    ) then 0 end;
  end if;
  if in_status = 'processing' then
    listening := listening_instances();
    perform note_overdue('-infinity', long_ago);
  end if;
  missed := (
    select count(*) from (
      select from message_states s where s.queue = in_status and s.due_at is not null and s.due_at <= long_ago
      union all
      select from overdue_attempts o
      join message_states s on s.message_id = o.message_id and s.status = 'processing' and s.lease_ends_at = o.lease_ends_at
      where in_status = 'processing' and o.lease_ends_at <= long_ago and split_part(s.claimed_by, '/', 1) <> all (listening)
      limit 1000
    ) m
  );
  return case when missed > 0 or in_status <> 'processing' or not exists (
    select from overdue_attempts o
    join message_states s on s.message_id = o.message_id and s.status = 'processing' and s.lease_ends_at = o.lease_ends_at
    where o.lease_ends_at <= long_ago
  ) then missed end;
end
$$;
