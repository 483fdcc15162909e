-- Says whether an event was appended to a message of these ids by a transaction that the snapshot `in_seen` does not see. `in_base` is
-- the base of the epoch in which the snapshot was taken: a position is a transaction id plus that base. A transaction that has not ended
-- is not seen here either: ask under a lock that keeps all writers out, and then nothing is missed.
--
-- A transaction that began before the one of a message's last event, and appends after it, takes over its position. So the row's own
-- transaction is looked at too: `xmin` is the lower half of its id.
--
-- Other databases of the cluster make no difference: their open transactions hold the watermark back, but no snapshot is one number.
--
-- Called by: drop_segment, src/log/archive/drop-segment.ts.
-- Returns: true if so.
create or replace function segment_changed(in_first bigint, in_next bigint, in_seen pg_snapshot, in_base bigint) returns boolean
language sql stable
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
as $$
  select exists (
    select from event_positions p
    cross join (select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as next) n
    where p.position >= pg_snapshot_xmin(in_seen)::text::bigint + in_base
      and not (
        pg_visible_in_snapshot((p.position - in_base)::text::xid8, in_seen)
        and pg_visible_in_snapshot((n.next - ((n.next - p.xmin::text::bigint) & 4294967295))::text::xid8, in_seen)
      )
      and exists (select from unnest(p.message_ids) as m(message_id) where m.message_id >= in_first and m.message_id < in_next)
  )
$$;
