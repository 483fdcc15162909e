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
    -- An inquiry is a probe without an attempt.
    and not (in_place.probe_message_id is not null and in_place.probe_attempt is null and in_place.probe_ends_at > looked_at
      -- No lease is longer: the clock was set back since.
      and (in_place.probe_ends_at > looked_at + (select max(i.lease_ms) from instances i) * interval '1 millisecond') is not true)
    and not exists (
      select from message_states m
      where m.message_id = in_place.probe_message_id and m.status = 'processing' and m.attempts = in_place.probe_attempt
    )
    and coalesce(earliest_due('pending', null, '-infinity') > looked_at, true)
    and coalesce(earliest_due('failed', null, '-infinity') > looked_at, true);
end
$$;
