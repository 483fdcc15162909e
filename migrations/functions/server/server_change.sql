-- Names a change of the server. Its epoch alone would not do: a copy that is restored has epochs given out again.
drop function if exists server_change;
create or replace function server_change(in_change server_changes) returns text
language sql immutable
as $$
  select in_change.epoch || '@' || lease_micros(in_change.recorded_at)
$$;
