-- Gives a change of the server a name. Its epoch alone is not enough: a restored copy gives epochs out again.
--
-- Called by: recognize_server.
-- Returns: the epoch and the time at which the change was recorded, as `epoch@microseconds`.
create or replace function server_change(in_change server_changes) returns text
language sql stable
as $$
  select in_change.epoch || '@' || lease_micros(in_change.recorded_at)
$$;
