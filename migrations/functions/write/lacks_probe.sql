-- Says whether a destination that is held would start a probe now if it had a message for it: none is open, and nothing is due in either lane.
--
-- Called by: step_job.
create or replace function lacks_probe(in_place destinations) returns boolean
language plpgsql volatile
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
  looked_at constant timestamptz := clock_timestamp();
begin
  return in_place.state = 'held' and in_place.next_probe_at <= looked_at
    and not has_open_probe(in_place, looked_at)
    and coalesce(earliest_due('pending', null, '-infinity') > looked_at, true)
    and coalesce(earliest_due('failed', null, '-infinity') > looked_at, true);
end
$$;
