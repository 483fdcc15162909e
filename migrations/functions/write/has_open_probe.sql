-- Says whether the last probe of a destination has not ended: an attempt that is open, or an inquiry until its lease ends.
--
-- Called by: begin_probe, lacks_probe.
create or replace function has_open_probe(in_place destinations, in_at timestamptz) returns boolean
language plpgsql volatile
set search_path = public, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
begin
  if in_place.probe_message_id is null then
    return false;
  end if;
  if in_place.probe_attempt is null then
    return coalesce(in_place.probe_ends_at > in_at, false)
      -- No lease is longer: the clock was set back since.
      and (in_place.probe_ends_at > in_at + (select max(i.lease_ms) from instances i) * interval '1 millisecond') is not true;
  end if;
  return exists (
    select from message_states m
    where m.message_id = in_place.probe_message_id and m.status = 'processing' and m.attempts = in_place.probe_attempt
  );
end
$$;
