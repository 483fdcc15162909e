-- Says whether a measure of the rollups is the longest duration of its minute. Two such values are combined by taking the
-- longer one; all other measures are added up.
--
-- Called by: fold_piece, rebuild_rollups, src/log/read/rollups/read-latency.ts.
-- Returns: true for a longest duration.
create or replace function is_maximum(in_measure text) returns boolean
language sql immutable parallel safe
as $$
  select right(in_measure, 4) = '_max'
$$;
