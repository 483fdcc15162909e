-- Reads the bounds of `rollup_bounds`: below which minute the rollups are kept by the hour, and below which by the day. Without a
-- row, all are kept by the minute.
--
-- Called by: whatever reads or writes rollups, next to aged_interval and aged_minute; src/log/read/rollups/read-throughput.ts.
-- Returns: one row.
create or replace function aged_below() returns table (hours_below timestamptz, days_below timestamptz)
language sql stable
as $$
  select coalesce(max(b.hours_below), '-infinity'), coalesce(max(b.days_below), '-infinity') from rollup_bounds b
$$;
