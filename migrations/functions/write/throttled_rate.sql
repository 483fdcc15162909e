-- Says how many attempts a second a processor gets that asked for less, at a time after it did so. When it asks for the first time it gets
-- half of what it got, and then twice as much each second, until it asks again. Then it gets half of that, and the rate follows the cubic
-- curve of RFC 9438; from the third time on from a tenth less than what was too much, back to that within half a minute, there for a while,
-- and then faster and faster. (Halving each time would leave a processor of 20 a second three quarters of its rate on average.)
--
-- Called by: pace_of.
-- Returns: null if the processor did not ask for less.
create or replace function throttled_rate(in_place destinations, in_at timestamptz) returns double precision
language plpgsql immutable
set search_path = public, pg_temp
as $$
declare
  -- How steep the curve is: with a tenth less it is back at the old rate after 30 s (0.1 / 30³).
  steepness constant double precision := 3.7e-6;
  seconds double precision := greatest(0, extract(epoch from in_at - greatest(in_place.throttled_at, in_place.not_before)));
  back_after double precision;
begin
  if in_place.throttled_from is null then
    return in_place.throttled_rate * power(2, least(seconds, 30));
  end if;
  back_after := cbrt((1 - in_place.throttled_rate / in_place.throttled_from) / steepness);
  return in_place.throttled_from * (1 + steepness * power(seconds - back_after, 3));
end
$$;
