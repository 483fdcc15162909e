-- Detaches and drops the partitions of a segment whose archive was written, read back and compared, and records that in the same
-- transaction. So there is either the segment or this row, never neither. Only the owner of the log can do this.
--
-- `in_row` is the row of `segment_archives`, `in_rollups` and `in_failures` are the rows of `archived_rollups` and
-- `archived_failures`: JSON objects with the columns' names. `in_seen` is a snapshot in which the segment was as it is in the archive,
-- `in_base` the base of the epoch at that time: whether an event was appended since is looked at here, under the lock.
--
-- Detaching locks everybody out of the three tables. It locks the tables and the segment's own partitions, and no other partition: else
-- a vacuum of the newest segment, which takes minutes and comes again, would be in the way of dropping an old one.
--
-- While this waits for a lock, all others wait behind it. Often it waits in vain: the service's functions take these tables in
-- different orders, so a function that has one of them may stand behind this for the next one. So the first tries wait for moments
-- only, and the last one for at most `in_lock_timeout_ms` a table. Then this fails with the SQLSTATE 55P03: try again later. Measured
-- with 4,000 messages a second: the locks were given to 37 of 54 tries that waited for at most 20 ms, and to 25 of 34 that waited for
-- at most 200 ms. Those that got them had waited for 10 ms on average.
--
-- Called by: src/log/archive/drop-segment.ts.
-- Returns: false if an event was appended meanwhile. Nothing has changed then, if the caller rolls back.
create or replace function drop_segment(
  in_row jsonb,
  in_rollups jsonb,
  in_failures jsonb,
  in_seen pg_snapshot,
  in_base bigint,
  in_lock_timeout_ms int
) returns boolean
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
  archived segment_archives;
  parent text;
  part text;
  wait_ms int;
  is_locked boolean := false;
begin
  insert into segment_archives
    select * from jsonb_populate_record(null::segment_archives,
      in_row || jsonb_build_object('archived_at', clock_timestamp()))
    returning * into archived;
  if not exists (
    select from log_segments s
    where s.segment = archived.segment and s.first_message_id = archived.first_message_id
      and s.next_message_id = archived.next_message_id
  ) then
    raise exception 'segment % has other message ids', archived.segment;
  end if;
  insert into archived_rollups
    select archived.segment, r.minute, r.measure, r.bucket, r.n
    from jsonb_to_recordset(in_rollups) as r(minute timestamptz, measure text, bucket int, n bigint);
  -- A tool of a release that did not know the causes of open dead letters has left them out of the sums: so they leave the rollups here.
  if not exists (select from archived_rollups r where r.segment = archived.segment and r.measure like 'open\_dead\_letter\_%')
      and exists (
        select from message_states s
        where s.queue = 'dead_letter' and s.message_id >= archived.first_message_id and s.message_id < archived.next_message_id
          and not exists (select from decided_messages d where d.message_id = s.message_id and d.resolution is not null)
      ) then
    insert into status_count_deltas (position, pending, processing, success, failed, dead_letter, minutes, measures, buckets, counts)
      select current_position(), 0, 0, 0, 0, 0, array_agg(c.minute), array_agg(c.measure), array_agg(c.bucket), array_agg(-c.n)
      from count_rollups(archived.first_message_id, archived.next_message_id) c
      where c.measure like 'open\_dead\_letter\_%'
      having count(*) > 0;
  end if;
  insert into archived_failures
    select archived.segment, r.minute, r.pattern, r.n, r.last_at, r.examples
    from jsonb_to_recordset(in_failures) as r(minute timestamptz, pattern text, n bigint, last_at timestamptz, examples bigint[]);
  foreach wait_ms in array array[10, 10, 20, 20, 50, 50, 100, in_lock_timeout_ms]
  loop
    begin
      perform set_config('lock_timeout', least(wait_ms, in_lock_timeout_ms)::text, true);
      -- All statements of the service name the tables, so this keeps them out. `only` leaves the partitions to those who vacuum them.
      lock table only message_states, only records, only message_events in access exclusive mode;
      is_locked := true;
    exception when lock_not_available then
      -- What it had locked is free again.
    end;
    exit when is_locked;
    perform pg_sleep(0.05);
  end loop;
  if not is_locked then
    raise exception 'the tables of the log are in use' using errcode = 'lock_not_available';
  end if;
  -- A vacuum of the partition itself may be in the way for a moment, and everybody waits already.
  perform set_config('lock_timeout', in_lock_timeout_ms::text, true);
  if segment_changed(archived.first_message_id, archived.next_message_id, in_seen, in_base) then
    return false;
  end if;
  foreach parent in array array['message_states', 'records', 'message_events']
  loop
    part := format('%s_s%s', parent, archived.segment);
    execute format('alter table %I detach partition %I', parent, part);
    execute format('drop table %I', part);
  end loop;
  delete from decided_messages where message_id >= archived.first_message_id and message_id < archived.next_message_id;
  return true;
end
$$;
