-- Says when a processor that asked for less gets all again if it does not ask again: while the rate doubles each second, after ten seconds
-- (1,024 times the first rate); later, when the curve of throttled_rate is at eight times what was too much.
--
-- Called by: due_decision, advance_destination.
-- Returns: null if the processor did not ask for less.
create or replace function throttle_ends_at(in_place destinations) returns timestamptz
language sql immutable
set search_path = public, pg_temp
as $$
  select greatest(in_place.throttled_at, in_place.not_before)
    + case when in_place.throttled_from is null then interval '10 seconds' else interval '150 seconds' end
  where in_place.throttled_at is not null
$$;
