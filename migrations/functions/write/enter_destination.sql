-- Says how a destination stands, and keeps its state as it is until the transaction ends: a decision about the destination waits for
-- every transaction that has entered, and those that come meanwhile wait for the decision.
--
-- It is called before anything that gives the transaction its id. Then the events that a transaction appends before a decision have lower
-- positions than the decision, and those after it have higher ones.
--
-- Called by: look, ingest, settle_attempts, abandon_attempts.
-- Returns: the row of the destination.
-- Refuses: a destination that there is not.
create or replace function enter_destination(in_destination text) returns destinations
language plpgsql volatile
set search_path = public, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  found destinations;
begin
  perform pg_advisory_xact_lock_shared(hashtextextended('destination ' || in_destination, 0));
  -- A statement of its own, because it sees what was decided while the one above waited.
  select * into found from destinations d where d.destination = in_destination;
  if found.destination is null then
    raise exception 'there is no destination %', in_destination
      using errcode = 'integrity_constraint_violation', hint = 'npm run rebuild';
  end if;
  return found;
end
$$;
