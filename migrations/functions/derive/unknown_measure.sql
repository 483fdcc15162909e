-- Which measure of the rollups counts a message with an unknown outcome, by where it is now.
drop function if exists unknown_measure;
create or replace function unknown_measure(in_status text) returns text
language sql immutable parallel safe
as $$
  select case in_status
    when 'success' then 'unknown_success'
    when 'dead_letter' then 'unknown_dead_letter'
    else 'unknown_open'
  end
$$;
