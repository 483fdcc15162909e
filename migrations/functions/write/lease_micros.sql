-- Gives the end of a lease in whole microseconds since 1970. This number names an attempt, together with its payment and its
-- attempt number. Two attempts of the same number have different leases, also if a failover took the first of them out of the
-- log.
--
-- Called by: claim, expired, ingest, open_attempts, server_change.
-- Returns: the microseconds; null for null.
create or replace function lease_micros(in_lease_ends_at timestamptz) returns bigint
language sql stable strict parallel safe
as $$
  select (extract(epoch from in_lease_ends_at) * 1000000)::bigint
$$;
