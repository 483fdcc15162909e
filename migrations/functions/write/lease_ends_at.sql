-- Says when a lease may be taken over: at its end, but not within `in_grace_ms` of the server's start, of the last change of
-- the server, or of the caller's own reconnect. In that time instances store the outcomes that they kept in memory during an
-- outage. Without it the service, or a second instance that has just started, would send again what was paid.
--
-- A promoted standby was started long ago, so its start says nothing. Its first caller has recorded the change of the server.
--
-- Called by: abandon_attempts, count_missed, expired, look: one rule for all of them.
-- Returns: the time; null if one of the parameters is null.
create or replace function lease_ends_at(in_due_at timestamptz, in_reconnected_at timestamptz, in_grace_ms bigint)
returns timestamptz
language sql stable strict
as $$
  select greatest(in_due_at, greatest(pg_postmaster_start_time(), in_reconnected_at, (
      select c.recorded_at from server_changes c where c.from_timeline is not null order by c.epoch desc limit 1
    )) + in_grace_ms * interval '1 millisecond')
$$;
