-- Counts the open dead letters in the database by cause, exactly and without scanning the messages. One that was archived is not among
-- them: nobody can resolve it any more.
--
-- Called by: src/log/read/count-decided.ts.
-- Returns: one row for each cause that has any. All of it is from one snapshot.
create or replace function open_letters() returns table (cause text, n bigint)
language plpgsql stable security definer
set search_path = public, pg_temp
set jit = off
as $$
#variable_conflict use_column
declare
  measures constant text[] := array['open_dead_letter_refused', 'open_dead_letter_retries_exhausted', 'open_dead_letter_rejected_record',
    'open_dead_letter_conflicting_record', 'open_dead_letter_cancelled', 'open_dead_letter_outcome_unknown'];
begin
  return query
  select substr(c.measure, length('open_dead_letter_') + 1), sum(c.n)::bigint
  from (
    select r.measure, r.n from read_rollups('-infinity', '-infinity', measures) r
    union all
    -- By the key, segment by segment: the rows of an archive are thousands.
    select a.measure, -a.n
    from segment_archives s
    cross join unnest(measures) as m(measure)
    cross join lateral (
      select b.measure, b.n from archived_rollups b
      where b.segment = s.segment and b.minute = '-infinity' and b.measure = m.measure and b.bucket = 0
      limit 1
    ) a
  ) c
  group by 1 having sum(c.n) <> 0;
end
$$;
