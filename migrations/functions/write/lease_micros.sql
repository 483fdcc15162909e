-- A lease's end in whole microseconds since 1970: what names an attempt beside its payment and its number. Two attempts of one
-- number have two leases, also where a failover took the first of them out of the log.
drop function if exists lease_micros;
create or replace function lease_micros(in_lease_ends_at timestamptz) returns bigint
language sql immutable strict parallel safe
as $$
  select (extract(epoch from in_lease_ends_at) * 1000000)::bigint
$$;
