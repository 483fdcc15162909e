-- Takes slots of a destination for attempts that start in this transaction (see free_slots), and counts them.
--
-- Called by: look_lane. The caller keeps the row of the destination locked. `in_first_at` is what free_slots said, and `in_queue` the
-- queue of the lane.
create or replace function take_slots(in_place destinations, in_at timestamptz, in_first_at timestamptz, in_queue text, in_count int)
returns void
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
  rate double precision := (pace_of(in_place, in_at)).rate;
  counted_for double precision := extract(epoch from in_at - in_place.slots_since);
  is_over boolean := coalesce(counted_for not between 0 and 1, true);
begin
  update destinations d set
    next_slot_at = in_first_at + in_count / rate * interval '1 second',
    last_queue = in_queue,
    slots_since = case when is_over then in_at else d.slots_since end,
    slots_taken = in_count + case when is_over then 0 else d.slots_taken end,
    slots_rate = case when is_over then coalesce(d.slots_taken / nullif(greatest(counted_for, 1), 0), 0) else d.slots_rate end
  where d.destination = in_place.destination;
end
$$;
