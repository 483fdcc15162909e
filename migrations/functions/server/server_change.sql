-- Names a change of the server. Its epoch alone would not do: a copy that is restored has epochs given out again.
create or replace function server_change(of server_changes) returns text
language sql immutable
as $$
  select of.epoch || '@' || lease_micros(of.recorded_at)
$$;
