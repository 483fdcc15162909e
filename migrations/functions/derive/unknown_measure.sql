-- Says which measure of the rollups counts a message with an unknown outcome.
--
-- Called by: project, count_rollups. `in_status` is the message's present status.
-- Returns: the measure.
create or replace function unknown_measure(in_status text) returns text
language sql immutable parallel safe
as $$
  select case in_status
    when 'success' then 'unknown_success'
    when 'dead_letter' then 'unknown_dead_letter'
    else 'unknown_open'
  end
$$;
