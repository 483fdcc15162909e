-- The position of the last event that can be seen; 0 in an empty log. Unlike the watermark it never falls by itself, not by a crash
-- either: an event that can be seen is durable. So a log that ends below what somebody has seen in it has lost something.
create or replace function last_position() returns bigint
language plpgsql volatile
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
begin
  return coalesce((select e.position from message_events e order by e.position desc limit 1), 0);
end
$$;
