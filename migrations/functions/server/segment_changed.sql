-- Says whether an event was appended to a message of these ids, in a transaction whose position lies from `in_from` to before
-- `in_to` (null: no end). Events of transactions that have not ended are not seen: ask below the watermark, or under a lock.
--
-- Called by: drop_segment, src/log/archive/drop-segment.ts.
-- Returns: true if so.
create or replace function segment_changed(in_first bigint, in_next bigint, in_from bigint, in_to bigint) returns boolean
language sql stable
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
as $$
  select exists (
    select from event_positions p
    where p.position >= in_from and (in_to is null or p.position < in_to)
      and exists (select from unnest(p.message_ids) as m(message_id) where m.message_id >= in_first and m.message_id < in_next)
  )
$$;
