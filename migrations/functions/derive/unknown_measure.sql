-- Which measure of the rollups counts a message with an unknown outcome, by where it is now.
create or replace function unknown_measure(status text) returns text
language sql immutable parallel safe
as $$
  select case status when 'success' then 'unknown_success' when 'dead_letter' then 'unknown_dead_letter' else 'unknown_open' end
$$;
