-- Says how many of the free slots of a destination a lane may take now. If the other lane has due messages too, each takes half. A single
-- slot goes to the lane that did not have the last one; if that lane does not come for it, the other one takes it a moment later.
--
-- Called by: look_lane. The caller keeps the row of the destination locked. `in_queue` is the queue of the lane.
-- Returns: as free_slots.
create or replace function share_slots(
  in_place destinations,
  in_queue text,
  in_at timestamptz,
  out slots int,
  out first_at timestamptz,
  out free_at timestamptz
)
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
  -- As long as a lane needs to look.
  patience constant interval := '30 milliseconds';
  free record := free_slots(in_place, in_at);
  pace record := pace_of(in_place, in_at);
  one_free_at timestamptz := greatest(in_place.not_before,
    coalesce(in_place.next_slot_at, '-infinity') - (pace.burst - 1) / pace.rate * interval '1 second');
begin
  slots := free.slots;
  first_at := free.first_at;
  free_at := free.free_at;
  if slots > 0 and earliest_due(case in_queue when 'pending' then 'failed' else 'pending' end, null, '-infinity') <= in_at then
    slots := case
      when slots > 1 then (slots + case when in_place.last_queue = in_queue then 0 else 1 end) / 2
      when in_place.last_queue is distinct from in_queue or one_free_at + patience <= in_at then 1
      else 0
    end;
    free_at := case when slots = 0 then one_free_at + patience else in_at end;
  end if;
end
$$;
