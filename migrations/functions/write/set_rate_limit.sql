-- Limits how many attempts a second all instances together may start at a destination, and how many at once; null takes the limit away. A burst
-- of null is a fifth of the rate, 2 at least. A limit of a setting (`in_cause` is `setting`) is recorded only if it is another one than the
-- last that a setting gave. So an operator's limit holds when an instance starts again, until the setting itself is changed.
--
-- Called by: src/log/write/steer-destination.ts. `in_cause` is `rate` or `setting`.
-- Returns: one row. `answer` is `rate_set`; or `rate_unchanged`, and nothing was recorded. The other columns are the last decision, as
-- for pause_destination.
create or replace function set_rate_limit(
  in_destination text,
  in_actor text,
  in_reason text,
  in_cause text,
  in_per_second double precision,
  in_burst int
) returns table (answer text, decision int, state text, since timestamptz, actor text, reason text, until timestamptz)
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
  place destinations := lock_destination(in_destination);
  burst int := case when in_per_second is not null then coalesce(in_burst, greatest(2, ceil(in_per_second / 5))::int) end;
  known record;
begin
  if in_cause = 'setting' then
    select c.rate_limit, c.rate_burst into known from destination_decisions c
      where c.destination = in_destination and c.cause = 'setting' order by c.decision desc limit 1;
  else
    select place.rate_limit, place.rate_burst into known;
  end if;
  answer := case when (known.rate_limit, known.rate_burst) is distinct from (in_per_second, burst) then 'rate_set'
    else 'rate_unchanged' end;
  if answer = 'rate_set' then
    place.rate_limit := in_per_second;
    place.rate_burst := burst;
    -- A slot of the old limit may be far away.
    update destinations d set
      next_slot_at = case when d.next_slot_at is not null
        then least(d.next_slot_at, clock_timestamp() + burst / in_per_second * interval '1 second') end
    where d.destination = in_destination;
    place := append_decision(place, place.state, in_cause, in_actor, in_reason);
  end if;
  return query
    select answer, place.decision, place.state, l.recorded_at, l.actor, l.reason, place.until
    from (values (1)) as one
    left join destination_decisions l on l.destination = place.destination and l.decision = place.decision;
end
$$;
