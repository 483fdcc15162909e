-- A failure's pattern as the rollups keep it: no longer than an index may hold.
create or replace function rollup_pattern(reason text) returns text
language sql immutable parallel safe
as $$
  select left(failure_pattern(reason), 500)
$$;
