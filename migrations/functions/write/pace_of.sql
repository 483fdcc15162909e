-- Says how fast attempts may start at a destination: so many a second over all instances, and so many at once (at least 1).
--
-- Called by: free_slots, share_slots, take_slots, throttle_destination.
-- Returns: nulls if there is neither a limit nor a processor that asked for less.
create or replace function pace_of(in_place destinations, in_at timestamptz, out rate double precision, out burst double precision)
language plpgsql immutable
set search_path = public, pg_temp
as $$
declare
  throttled double precision := throttled_rate(in_place, in_at);
begin
  -- least() passes nulls over.
  rate := least(in_place.rate_limit, throttled);
  -- A processor may count strictly. So no more may start at once than makes up for a lane that looks 50 ms late; and none earlier
  -- than it might at the full rate.
  burst := least(1 + (in_place.rate_burst - 1) * rate / in_place.rate_limit, case when throttled is not null then 1 + throttled / 20 end);
end
$$;
