-- Finds a range of message ids that holds all messages created from `in_from` (inclusive) to `in_to` (exclusive). The caller still
-- compares `created_at`: the range may hold other messages too.
--
-- Message ids grow with time, but two slices that are stored at once may get theirs in the other order, and a clock may step
-- back. So the range comes from the slices themselves: their messages were created when the slice was recorded. Of each end
-- 10,000 slices are read that created messages, so that a long range costs no more than a short one. Slices of duplicates alone say
-- nothing, and are passed over. So a range misses messages only if the clock was ahead, or behind, for a time, and 10,000 other
-- slices or more lie in the range on either side of what was stored then.
--
-- Called by: src/log/read/messages/find-created.ts.
-- Returns: one row; both columns are null if no message was created then. Null bounds nothing.
create or replace function created_between(in_from timestamptz, in_to timestamptz)
returns table (first_message_id bigint, last_message_id bigint)
language plpgsql stable
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
#variable_conflict use_column
begin
  return query
  select min(s.first_message_id), max(s.last_message_id)
  from (
    (
      select a.first_message_id, a.last_message_id from partition_advances a
      where a.recorded_at >= coalesce(in_from, '-infinity') and a.recorded_at < coalesce(in_to, 'infinity')
        and a.first_message_id is not null
      order by a.recorded_at limit 10000
    )
    union all
    (
      select a.first_message_id, a.last_message_id from partition_advances a
      where a.recorded_at >= coalesce(in_from, '-infinity') and a.recorded_at < coalesce(in_to, 'infinity')
        and a.first_message_id is not null
      order by a.recorded_at desc limit 10000
    )
  ) s;
end
$$;
