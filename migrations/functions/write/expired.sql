-- Attempts whose lease has ended with no outcome, oldest first. `in_a_row`: the attempt before was abandoned too. `is_listening`: the
-- instance that holds it has a LISTEN session here; a clock that steps ends leases that are alive. Without those of the instances that
-- are `spared`: however many these are, they hide no other's.
create or replace function expired(
  reconnected_at timestamptz,
  grace_ms bigint,
  look_from timestamptz,
  rows_max int,
  -- The release before calls it without.
  spared text[] default '{}'
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
  if lease_ends_at('-infinity', reconnected_at, grace_ms) > looked_at then
    return;
  end if;
  listening := listening_instances();
  return query
  select s.message_id, s.attempts, s.retry_count, abandoned_before(s.message_id, s.attempts), s.transaction_id::text,
    lease_micros(s.due_at), s.claimed_by, split_part(s.claimed_by, '/', 1) = any (listening)
  from message_states s
  where s.status = 'processing' and s.due_at is not null and s.due_at <= looked_at and s.due_at >= look_from
    and split_part(s.claimed_by, '/', 1) <> all (spared)
  order by s.due_at, s.message_id
  limit rows_max;
end
$$;
