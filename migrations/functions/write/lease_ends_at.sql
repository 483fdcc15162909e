-- From when a lease may be taken over: its end, but not before instances have had time to bring in what they held in memory
-- over an outage of the database (`grace`, after the server's start, after the last change of the server, and after the caller's
-- own reconnect). Otherwise the service, or a fresh second instance, sends again what was paid. A standby that is promoted was
-- started long ago: its first caller has recorded the change. One rule for claim, timer and sweep. Null for no lease.
drop function if exists lease_ends_at;
create or replace function lease_ends_at(in_due_at timestamptz, in_reconnected_at timestamptz, in_grace_ms bigint)
returns timestamptz
language sql stable strict
as $$
  select greatest(in_due_at, greatest(pg_postmaster_start_time(), in_reconnected_at, (
      select c.recorded_at from server_changes c where c.from_timeline is not null order by c.epoch desc limit 1
    )) + in_grace_ms * interval '1 millisecond')
$$;
