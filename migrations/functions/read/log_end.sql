-- Where the readable log ends: right behind the last event below the watermark, and before every event to come. Not the watermark
-- itself, which may name transactions that were rolled back and that a crash of the server takes back: their xids are given out
-- again, and a reader who resumed from there would miss what they write. An event that can be seen outlives a crash.
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
  select e.position into last from message_events e where e.position < watermark() order by e.position desc limit 1;
  -- Of a new epoch without events too, so that the end is never of an earlier one.
  return greatest(last, (select base from log_epochs order by epoch desc limit 1)) + 1;
end
$$;
