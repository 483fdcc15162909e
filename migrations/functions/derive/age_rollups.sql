-- Makes old rollups coarser, one piece at a time: minutes that ended more than `in_hours_after` ago become rows of an hour, and
-- hours that ended more than `in_days_after` ago become rows of a day (UTC). Sums, longest durations and the failures' last times stay
-- exact; of the failures' examples those of the highest ids stay. A reader sees the state before a piece or the state after it.
--
-- A piece takes whole hours, or whole days, with at most `in_piece_rows` rows of each table, but at least one hour or day that has
-- rows. So it stays shorter than statement_timeout however much is old, and an outage of months costs more pieces and nothing
-- else. A piece that fails leaves nothing; the next one begins at the same bound. One session at a time does this, under the lock of
-- `fold_piece`.
--
-- Called by: age_piece.
-- Returns: true if more rows are old. False if none are, or if another session folds.
create or replace function age_rollups(in_hours_after interval, in_days_after interval, in_piece_rows int default 10000)
returns boolean
language plpgsql volatile
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
  hours_end timestamptz := date_bin('1 hour', clock_timestamp() - in_hours_after, 'epoch');
  -- Days are made of hours, so a day waits for its last hour.
  days_end timestamptz := least(date_bin('24 hours', clock_timestamp() - in_days_after, 'epoch'),
    date_bin('24 hours', hours_end, 'epoch'));
  aged record;
  reached timestamptz;
begin
  select * into strict aged from aged_below();
  if aged.hours_below >= hours_end and aged.days_below >= days_end then
    return false;
  end if;
  if not pg_try_advisory_xact_lock(hashtextextended('fold_counts', 0)) then
    return false;
  end if;
  -- Read again: another session may have aged a piece before this one got the lock.
  select * into strict aged from aged_below();
  if aged.hours_below < hours_end then
    reached := age_span('1 hour', aged.hours_below, hours_end, in_piece_rows);
    insert into rollup_bounds as b (hours_below, days_below) values (reached, aged.days_below)
      on conflict (only_row) do update set hours_below = excluded.hours_below;
  elsif aged.days_below < days_end then
    reached := age_span('24 hours', aged.days_below, days_end, in_piece_rows);
    update rollup_bounds set days_below = reached;
  end if;
  select * into strict aged from aged_below();
  return aged.hours_below < hours_end or aged.days_below < days_end;
end
$$;
