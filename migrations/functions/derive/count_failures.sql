-- Counts the failures of one statement by minute and pattern (`failure_pattern`), into `failure_deltas`. Making a pattern costs
-- regular expressions, so each reason gets its pattern once: when everything fails, most messages fail for the same reason.
--
-- Called by: project, only when something failed.
-- Returns: nothing. The three arrays lie side by side, one element for each failure.
create or replace function count_failures(in_message_ids bigint[], in_times timestamptz[], in_reasons text[]) returns void
language plpgsql volatile
set search_path = public, pg_temp
set jit = off
as $$
begin
  insert into failure_deltas (position, minute, pattern, n, last_at, examples)
    select current_position(), date_bin('1 minute', f.recorded_at, 'epoch'), p.pattern, count(*), max(f.recorded_at),
      (array_agg(distinct f.message_id order by f.message_id desc))[1:3]
    from unnest(in_message_ids, in_times, in_reasons) as f(message_id, recorded_at, reason)
    join (
      select r.reason, failure_pattern(r.reason) as pattern from (select distinct unnest(in_reasons)) r(reason)
    ) p on p.reason = f.reason
    group by 2, 3;
end
$$;
