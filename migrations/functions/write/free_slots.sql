-- Says how many attempts may start at a destination now. Each attempt takes a slot of 1 / rate seconds. Slots are taken one after the other,
-- and as many as `burst` may be taken at once (the generic cell rate algorithm). So no second has more than rate + burst.
--
-- Called by: share_slots, begin_probe. The caller keeps the row of the destination locked.
-- Returns: the number (null: no bound), the beginning of the first of these slots, and when one more is free.
create or replace function free_slots(
  in_place destinations,
  in_at timestamptz,
  out slots int,
  out first_at timestamptz,
  out free_at timestamptz
)
language plpgsql immutable
set search_path = public, pg_temp
as $$
declare
  pace record := pace_of(in_place, in_at);
begin
  -- A clock that was set back must not make anybody wait for as long.
  if in_place.not_before > in_at and in_place.not_before <= in_at + interval '60 seconds' then
    slots := 0;
    first_at := in_place.not_before;
    free_at := in_place.not_before;
    return;
  end if;
  if pace.rate is null then
    return;
  end if;
  -- A clock that was set back by more than what the checker takes for a step: what was planned is of another time.
  first_at := case
    when in_place.slots_since > in_at + interval '5 seconds' then in_at + (pace.burst - 1) / pace.rate * interval '1 second'
    else greatest(in_at, in_place.next_slot_at) end;
  slots := least(1e9, greatest(0, 1 + floor(pace.burst - 1 - extract(epoch from first_at - in_at)::double precision * pace.rate + 1e-6)));
  free_at := first_at + (slots + 1 - pace.burst) / pace.rate * interval '1 second';
end
$$;
