-- Says how many requests a lane may have under way so long after its destination began to ramp: 1, 2, 4 … doubled each second.
-- src/dispatch/destination.ts does the same.
--
-- Called by: due_decision.
create or replace function ramp_room(in_age interval) returns int
language sql immutable
set search_path = public, pg_temp
as $$
  select power(2, least(30, greatest(0, floor(extract(epoch from in_age)))))::int
$$;
