-- Notes that the processor asked for less: no attempt starts for `in_wait_ms` (60 s at most), and then fewer a second (see throttled_rate).
-- An attempt that started before the last change of the rate says nothing of the rate since: it changes no more than the wait.
--
-- Called by: src/log/write/throttle-destination.ts. `in_sent_ms_ago` is when the attempt was sent. `in_rate` is how many a second the instance
-- sends: all instances together send about as much as this one times their number.
-- It records a decision if the destination was not throttled before.
create or replace function throttle_destination(
  in_destination text,
  in_actor text,
  in_reason text,
  in_wait_ms bigint,
  in_sent_ms_ago double precision,
  in_rate double precision
) returns void
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
declare
  noted_at timestamptz;
  place destinations;
  known destinations;
  given double precision;
  measured double precision;
  sent_at timestamptz;
  is_news boolean;
begin
  select * into place from destinations d where d.destination = in_destination;
  if place.throttled_at is null then
    place := lock_destination(in_destination);
  else
    select * into place from destinations d where d.destination = in_destination for no key update;
    -- Another session ended it meanwhile. To begin it anew takes the other lock, which comes before this one: the caller tries again.
    if place.throttled_at is null then
      raise exception 'the throttle of destination % has just ended', in_destination using errcode = 'serialization_failure';
    end if;
  end if;
  noted_at := clock_timestamp();
  sent_at := noted_at - in_sent_ms_ago * interval '1 millisecond';
  given := (pace_of(place, noted_at)).rate;
  -- Whatever was sent before that did not know of the rate since.
  is_news := sent_at > coalesce(greatest(place.throttled_at, place.not_before), '-infinity');
  known := place;
  place.not_before := greatest(case when place.not_before <= noted_at + interval '60 seconds' then place.not_before end,
    case when in_wait_ms > 0 then noted_at + least(in_wait_ms, 60000) * interval '1 millisecond' end);
  if place.throttled_at is null then
    place.throttled_at := noted_at;
    place.throttled_rate := greatest(1, in_rate * greatest(1, cardinality(listening_instances())) / 2);
    perform append_decision(place, place.state, 'throttled', in_actor, in_reason);
    return;
  end if;
  if is_news then
    if place.throttled_from is null then
      place.throttled_from := given;
      place.throttled_rate := given / 2;
    else
      -- There may have been less to send than was given.
      measured := greatest(place.slots_rate, place.slots_taken / greatest(1, extract(epoch from noted_at - place.slots_since)::double precision));
      place.throttled_from := greatest(0.01, given / 2, least(given, measured));
      place.throttled_rate := place.throttled_from * 0.9;
    end if;
    place.throttled_at := noted_at;
  end if;
  -- Many answers may come that say nothing new.
  if not is_news and place.not_before is not distinct from known.not_before then
    return;
  end if;
  update destinations d set
    not_before = place.not_before,
    throttled_at = place.throttled_at,
    throttled_rate = place.throttled_rate,
    throttled_from = place.throttled_from
  where d.destination = in_destination;
  perform pg_notify('destination_changed', in_destination);
end
$$;
