-- Says how long the time is that one row of the rollups stands for, at this minute and with these bounds (`aged_below`).
--
-- Called by: aged_minute, src/log/read/rollups/read-throughput.ts.
-- Returns: a minute, an hour or 24 hours. Not `1 day`: added to a time, that is a day of the session's time zone.
create or replace function aged_interval(in_minute timestamptz, in_hours_below timestamptz, in_days_below timestamptz)
returns interval
language sql immutable parallel safe
as $$
  select case
    when in_minute < in_days_below then interval '24 hours'
    when in_minute < in_hours_below then interval '1 hour'
    else interval '1 minute'
  end
$$;
