-- Finds attempts whose lease has ended without an outcome, oldest first. It finds none before `lease_ends_at` allows a
-- takeover, and none of the instances in `in_spared`: however many attempts these hold, they hide no attempt of others.
--
-- `in_look_from` is a lower bound of the leases that no look has checked yet (note_overdue).
--
-- Called by: src/log/write/abandon.ts.
-- Returns: at most `in_rows_max` rows. `in_a_row`: the attempt before was abandoned too. `is_listening`: the instance that
-- holds the attempt has a LISTEN session on this server, so its lease may only seem to have ended, because a clock was changed.
create or replace function expired(
  in_reconnected_at timestamptz,
  in_grace_ms bigint,
  in_look_from timestamptz,
  in_rows_max int,
  in_spared text[] default '{}'
) returns table (message_id bigint, attempt int, retry_count int, in_a_row boolean, transaction_id text, lease_ends_at bigint,
  claimed_by text, is_listening boolean)
language plpgsql volatile security definer
set search_path = public, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  looked_at timestamptz := clock_timestamp();
  listening text[];
begin
  if lease_ends_at('-infinity', in_reconnected_at, in_grace_ms) > looked_at then
    return;
  end if;
  perform note_overdue(in_look_from, looked_at);
  listening := listening_instances();
  return query
  select s.message_id, s.attempts, s.retry_count, abandoned_before(s.message_id, s.attempts), s.transaction_id::text,
    lease_micros(s.lease_ends_at), s.claimed_by, split_part(s.claimed_by, '/', 1) = any (listening)
  from overdue_attempts o
  join message_states s on s.message_id = o.message_id and s.status = 'processing' and s.lease_ends_at = o.lease_ends_at
  where o.lease_ends_at <= looked_at and split_part(s.claimed_by, '/', 1) <> all (in_spared)
  order by s.lease_ends_at, s.message_id
  limit in_rows_max;
end
$$;
