-- Finds the lowest position that nothing in the log, and nothing derived from it, has reached.
--
-- Called by: begin_epoch, recognize_server, src/log/server/inspect-log.ts.
-- Returns: the position.
create or replace function log_floor() returns bigint
language plpgsql stable
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
begin
  return greatest(
    (select position + 1 from event_positions order by position desc limit 1),
    (select position + 1 from status_count_deltas order by position desc limit 1),
    (select position + 1 from failure_deltas order by position desc limit 1),
    (select bound from status_count_folds order by bound desc limit 1),
    (select base + 1 from log_epochs order by epoch desc limit 1)
  );
end
$$;
