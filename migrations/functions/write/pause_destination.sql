-- Pauses a destination: no attempt starts until an operator resumes it, or until `in_until`.
--
-- Called by: src/log/write/steer-destination.ts.
-- Returns: one row. `answer` is `paused`; `already_paused`, and nothing was recorded; or `until_passed`, if `in_until` is not in the future,
-- and nothing was recorded. The other columns are the last decision.
create or replace function pause_destination(in_destination text, in_actor text, in_reason text, in_until timestamptz default null)
returns table (answer text, decision int, state text, since timestamptz, actor text, reason text, until timestamptz)
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
  place destinations := lock_destination(in_destination);
begin
  -- The pause before has ended, and no instance was there to say so.
  if place.state = 'paused' and place.until <= clock_timestamp() then
    place := append_decision(place, 'ramping', 'until', in_actor, 'the time of the pause is over');
  end if;
  answer := case when place.state = 'paused' then 'already_paused' when in_until <= clock_timestamp() then 'until_passed'
    else 'paused' end;
  if answer = 'paused' then
    place := append_decision(place, 'paused', 'operator', in_actor, in_reason, in_until);
  end if;
  return query
    select answer, place.decision, place.state, place.since, l.actor, l.reason, place.until
    from (values (1)) as one
    left join destination_decisions l on l.destination = place.destination and l.decision = place.decision;
end
$$;
