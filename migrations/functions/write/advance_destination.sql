-- Makes the decision about a destination that is due, if there is one, and says how the destination stands.
--   flowing  becomes held after `in_hold_after` failures in a row, or `in_brake_after` refusals in a row (0: never)
--   held     becomes ramping after three probes in a row that showed that it works
--   paused   becomes ramping when its time is over
--   ramping  becomes held after one failure before the first answer, and after that after as many in a row as it has room (5 at least,
--            `in_hold_after` at most); and flowing after `in_ramp_ms`
-- A processor that asked for less, and then for a while did not, gets all again.
-- Two instances may call it at the same time: the second one finds the decision made.
--
-- Called by: src/log/write/advance-destination.ts. Returns: one row. `decision` is the last decision, 0 before the first one; then `actor`
-- and `reason` are null. `decision_cause` is its cause. `cause` and `since` are of the decision that began the state. Times are in
-- milliseconds by the database's clock: how long ago the state began, in how long a pause ends and the next probe may start, how long the
-- processor wants to be left alone, and when it gets all again.
create or replace function advance_destination(
  in_destination text,
  in_actor text,
  in_hold_after int,
  in_brake_after int,
  in_probe_every_ms bigint,
  in_ramp_ms bigint
) returns table (decision int, state text, cause text, actor text, reason text, since timestamptz, until timestamptz,
  decided_ms_ago double precision, until_in_ms double precision, next_probe_in_ms double precision, state_decision int,
  rate_limit double precision, rate_burst int, is_throttled boolean, not_before_in_ms double precision,
  throttle_ends_in_ms double precision, decision_cause text)
language plpgsql volatile security definer
set search_path = public, pg_temp
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  place destinations;
  next_state text;
  next_cause text;
begin
  select * into place from destinations d where d.destination = in_destination;
  select d.state, d.cause into next_state, next_cause
    from due_decision(place, in_hold_after, in_brake_after, in_ramp_ms) d;
  if next_state is not null then
    place := lock_destination(in_destination);
    select d.state, d.cause into next_state, next_cause
      from due_decision(place, in_hold_after, in_brake_after, in_ramp_ms) d;
  end if;
  if next_cause = 'unthrottled' then
    place.throttled_at := null;
    place.throttled_rate := null;
    place.throttled_from := null;
    place.not_before := null;
  end if;
  if next_state is not null then
    place := append_decision(
      in_place => place,
      in_state => next_state,
      in_cause => next_cause,
      in_actor => in_actor,
      in_reason => case next_cause
        when 'failures' then case when place.failures = 1 then format('a failure: %s', place.last_reason)
          else format('%s failures in a row, the last one: %s', place.failures, place.last_reason) end
        when 'refusals' then format('%s payments refused in a row, the last one: %s', place.refusals, place.last_reason)
        when 'probes' then format('%s probes in a row were answered', place.probes)
        when 'until' then 'the time of the pause is over'
        when 'unthrottled' then 'the processor has not asked for less for a while'
        else 'room has opened up to the limit' end,
      in_probe_every_ms => in_probe_every_ms);
  end if;
  return query
    select place.decision, place.state, place.cause, l.actor, l.reason, place.since, place.until,
      extract(epoch from clock_timestamp() - place.since)::double precision * 1000,
      extract(epoch from place.until - clock_timestamp())::double precision * 1000,
      extract(epoch from place.next_probe_at - clock_timestamp())::double precision * 1000,
      place.state_decision, place.rate_limit, place.rate_burst, place.throttled_at is not null,
      extract(epoch from place.not_before - clock_timestamp())::double precision * 1000,
      extract(epoch from throttle_ends_at(place) - clock_timestamp())::double precision * 1000, l.cause
    from (values (1)) as one
    left join destination_decisions l on l.destination = place.destination and l.decision = place.decision;
end
$$;
