-- Says whether an attempt of this duration was slow: a payment that is always answered so late, or never, must not keep the room of others.
--
-- Called by: project, rebuild_fold.
create or replace function is_slow(in_duration_ms int) returns boolean
language sql immutable parallel safe
as $$
  select coalesce(in_duration_ms, 0) > 1000
$$;
