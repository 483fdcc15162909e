-- Ends a pause or a hold of a destination: it begins to ramp.
--
-- Called by: src/log/write/steer-destination.ts.
-- Returns: one row. `answer` is `resumed`; or `not_stopped`, if payments flow already, and nothing was recorded. The other columns are the
-- last decision; `actor` and `reason` are null if there is none.
create or replace function resume_destination(in_destination text, in_actor text, in_reason text)
returns table (answer text, decision int, state text, since timestamptz, actor text, reason text, until timestamptz)
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
  place destinations := lock_destination(in_destination);
begin
  answer := case when place.state in ('held', 'paused') then 'resumed' else 'not_stopped' end;
  if answer = 'resumed' then
    place := append_decision(place, 'ramping', 'operator', in_actor, in_reason);
  end if;
  return query
    select answer, place.decision, place.state, place.since, l.actor, l.reason, place.until
    from (values (1)) as one
    left join destination_decisions l on l.destination = place.destination and l.decision = place.decision;
end
$$;
