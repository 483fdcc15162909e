-- Reads the position of the last event that can be seen.
--
-- This position never falls by itself, not even by a crash: an event that can be seen is durable. (The watermark may fall.) So
-- a log that ends below a position that somebody has seen in it has lost something.
--
-- Called by: look, recognize_server.
-- Returns: the position; 0 for an empty log.
create or replace function last_position() returns bigint
language plpgsql volatile
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
begin
  return coalesce((select p.position from event_positions p order by p.position desc limit 1), 0);
end
$$;
