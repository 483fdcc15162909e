-- Says which decision about a destination is due. The rules stand at advance_destination.
--
-- Called by: advance_destination.
-- Returns: one row: the new state and its cause; null if nothing is to be decided.
create or replace function due_decision(in_place destinations, in_hold_after int, in_brake_after int, in_ramp_ms bigint)
returns table (state text, cause text)
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
  -- So many failures in a row are no chance, even where a payment in fifty fails.
  ramp_failures_min constant int := 5;
  due text;
begin
  due := case
    when in_place.state in ('flowing', 'ramping') and in_hold_after > 0 and in_place.failures >= least(in_hold_after, case
        when in_place.state = 'ramping' and in_place.is_answered
          then greatest(ramp_failures_min, ramp_room(clock_timestamp() - in_place.since))
        when in_place.state = 'ramping' then 1
      end) then 'held failures'
    when in_place.state in ('flowing', 'ramping') and in_brake_after > 0 and in_place.refusals >= in_brake_after
      then 'held refusals'
    when in_place.state = 'held' and in_place.probes >= 3 then 'ramping probes'
    when in_place.state = 'paused' and in_place.until <= clock_timestamp() then 'ramping until'
    -- A clock that was set back may leave the beginning of a ramp in the future.
    when in_place.state = 'ramping' and (in_place.since + in_ramp_ms * interval '1 millisecond' <= clock_timestamp()
        or in_place.since > clock_timestamp()) then 'flowing ramped'
    -- A clock that was set back may leave the beginning in the future.
    when throttle_ends_at(in_place) <= clock_timestamp() or in_place.throttled_at > clock_timestamp() + interval '60 seconds'
      then in_place.state || ' unthrottled'
    end;
  state := split_part(due, ' ', 1);
  cause := split_part(due, ' ', 2);
  return next;
end
$$;
