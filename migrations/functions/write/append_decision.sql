-- Records a decision about a destination, puts it into effect, and notifies every instance. The caller holds the destination by
-- lock_destination.
--
-- Called by: advance_destination, pause_destination, resume_destination, set_rate_limit, throttle_destination. `in_place` is what
-- lock_destination returned, with the pace that holds from this decision on. A decision about the pace alone leaves the state as it is,
-- with all that is counted.
-- `in_probe_every_ms` is the wait before the first probe of a destination that is held now.
-- Returns: the row of the destination after the decision.
create or replace function append_decision(
  in_place destinations,
  in_state text,
  in_cause text,
  in_actor text,
  in_reason text,
  in_until timestamptz default null,
  in_probe_every_ms bigint default null
) returns destinations
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
  -- A clock that was set back must not make it older than the one before it.
  decided_at timestamptz := greatest(clock_timestamp(), in_place.since, (
    select c.recorded_at from destination_decisions c where c.destination = in_place.destination and c.decision = in_place.decision));
  position bigint := current_position();
  begins boolean := in_state <> in_place.state;
  decided destinations;
begin
  insert into destination_decisions (destination, decision, position, recorded_at, state, cause, until, failures, refusals, probes,
      rate_limit, rate_burst, actor, reason)
    values (in_place.destination, in_place.decision + 1, position, decided_at, in_state, in_cause, in_until,
      in_place.failures, in_place.refusals, in_place.probes, in_place.rate_limit, in_place.rate_burst,
      in_actor, in_reason);
  -- After a restore into a younger cluster the next events must get positions above it, as above those of events.
  insert into status_count_deltas (position, pending, processing, success, failed, dead_letter) values (position, 0, 0, 0, 0, 0);
  update destinations d set
    decision = in_place.decision + 1,
    rate_limit = in_place.rate_limit,
    rate_burst = in_place.rate_burst,
    throttled_at = in_place.throttled_at,
    throttled_rate = in_place.throttled_rate,
    throttled_from = in_place.throttled_from,
    not_before = in_place.not_before
  where d.destination = in_place.destination
  returning d.* into decided;
  if begins then
    update destinations d set
      state = in_state,
      state_decision = decided.decision,
      cause = in_cause,
      since = decided_at,
      until = in_until,
      failures = 0,
      refusals = 0,
      probes = 0,
      is_answered = false,
      next_probe_at = case when in_state = 'held' then clock_timestamp() + in_probe_every_ms * interval '1 millisecond' end,
      probe_delay_ms = case when in_state = 'held' then in_probe_every_ms end,
      probe_message_id = null,
      probe_attempt = null,
      probe_ends_at = null
    where d.destination = in_place.destination
    returning d.* into decided;
  end if;
  perform pg_notify('destination_changed', in_place.destination);
  -- For lanes of a release that does not listen to that.
  if begins and in_state = 'ramping' then
    perform pg_notify('message_due', '');
  end if;
  return decided;
end
$$;
