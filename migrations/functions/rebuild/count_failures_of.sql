-- Counts the failures of the messages from `in_first` to before `in_next` by minute and failure_pattern, from the events that are in
-- the log. By default it counts those of all messages.
--
-- Called by: rebuild_failures, src/log/archive/count-segment.ts.
-- Returns: one row for each minute and pattern, with up to three of the messages, those of the highest ids.
create or replace function count_failures_of(in_first bigint default 0, in_next bigint default 9223372036854775807)
returns table (minute timestamptz, pattern text, n bigint, last_at timestamptz, examples bigint[])
language plpgsql stable
set search_path = public, pg_temp
set jit = off
as $$
#variable_conflict use_column
begin
  return query
  select date_bin('1 minute', e.recorded_at, 'epoch') as minute, failure_pattern(e.reason) as pattern, count(*) as n,
    max(e.recorded_at) as last_at, (array_agg(distinct e.message_id order by e.message_id desc))[1:3] as examples
  from message_events e
  where is_failure(e.type) and e.reason is not null
    and e.message_id >= in_first and e.message_id < in_next
  group by 1, 2;
end
$$;
