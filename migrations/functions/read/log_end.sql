-- Finds where the readable log ends: directly after the last event below the watermark, and before every later event.
--
-- The watermark itself would be wrong. It may count transactions that were rolled back, and after a crash of the server
-- PostgreSQL gives their ids out again. A reader who goes on from the watermark would then miss what they write. An event that
-- can be seen survives a crash.
--
-- Called by: src/log/read (read-events, read-head, read-log-end).
-- Returns: the position from which a reader goes on. It is never of an earlier epoch, also if the present one has no events.
create or replace function log_end() returns bigint
language plpgsql stable
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
  last bigint;
begin
  select p.position into last from event_positions p where p.position < watermark() order by p.position desc limit 1;
  -- A new epoch may have no events yet. Its base keeps the end from being of an earlier epoch.
  return greatest(last, (select base from log_epochs order by epoch desc limit 1)) + 1;
end
$$;
