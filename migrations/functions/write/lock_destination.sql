-- Waits until no transaction has entered the destination (see enter_destination), and lets none enter until the caller's transaction
-- ends. Those who come meanwhile wait too, so it does not wait for long: the caller tries again.
--
-- Called by: advance_destination, pause_destination, resume_destination.
-- Returns: the row of the destination.
-- Refuses: a destination that there is not.
create or replace function lock_destination(in_destination text) returns destinations
language plpgsql volatile
set search_path = public, pg_temp
set lock_timeout = '200ms'
as $$
declare
  found destinations;
begin
  perform pg_advisory_xact_lock(hashtextextended('destination ' || in_destination, 0));
  -- A statement of its own, because it sees what was decided while the one above waited.
  select * into found from destinations d where d.destination = in_destination for no key update;
  if found.destination is null then
    raise exception 'there is no destination %', in_destination
      using errcode = 'integrity_constraint_violation', hint = 'npm run rebuild';
  end if;
  return found;
end
$$;
