-- Finds the position below which the log is complete: every event below it is committed and visible to the calling statement,
-- and none will be added below it.
--
-- Called by: fold_piece, log_end, read_log, read_log_of.
-- Returns: the position.
create or replace function watermark() returns bigint
language plpgsql stable
set search_path = public, pg_temp
as $$
begin
  return pg_snapshot_xmin(pg_current_snapshot())::text::bigint + (select base from log_epochs order by epoch desc limit 1);
end
$$;
