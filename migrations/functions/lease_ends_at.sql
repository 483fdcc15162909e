-- From when a lease may be taken over: its end, but not before instances have had time to bring in what they held in memory
-- over an outage of the database (`grace`, after the server's start and after the caller's own reconnect). Otherwise the
-- service, or a fresh second instance, sends again what was paid. One rule for claim, timer and sweep. Null for no lease.
create or replace function lease_ends_at(due_at timestamptz, reconnected_at timestamptz, grace_ms bigint) returns timestamptz
language sql stable strict
as $$
  select greatest(due_at, greatest(pg_postmaster_start_time(), reconnected_at) + grace_ms * interval '1 millisecond')
$$;
