-- Says which row of the rollups a minute belongs to, with these bounds (`aged_below`).
--
-- Called by: fold_piece, fold_failures, read_rollups, read_failures, rebuild_rollups, rebuild_failures,
-- src/log/read/rollups/read-throughput.ts.
-- Returns: the minute itself, or where its hour or its day (UTC) begins. The minute -infinity stays as it is.
create or replace function aged_minute(in_minute timestamptz, in_hours_below timestamptz, in_days_below timestamptz)
returns timestamptz
language sql immutable parallel safe
as $$
  select date_bin(aged_interval(in_minute, in_hours_below, in_days_below), in_minute, 'epoch')
$$;
