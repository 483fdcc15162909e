-- Counts the messages by status again, archived ones included, and corrects wrong counts by one more delta. The messages and the
-- counts are read in one snapshot, so a message that changes meanwhile is in neither.
--
-- Called by: src/log/write/rebuild.ts (`npm run rebuild`). It waits for another session that does the same.
-- Returns: one row for each status whose count was wrong.
create or replace function rebuild_counts() returns table (status text, was bigint, became bigint)
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
  statuses text[] := array['pending', 'processing', 'success', 'failed', 'dead_letter'];
  counted bigint[];
  scanned bigint[];
begin
  -- One session at a time: two corrections of the same error would be a new error.
  perform pg_advisory_xact_lock(hashtextextended('rebuild_counts', 0));
  insert into status_count_folds (bound, pending, processing, success, failed, dead_letter)
    select 0, 0, 0, 0, 0, 0 where not exists (select from status_count_folds);
  select array[c.pending, c.processing, c.success, c.failed, c.dead_letter],
      array(
        select count(m.message_id) + coalesce((
            select sum(case n.status when 'success' then a.success when 'dead_letter' then a.dead_letter end)::bigint
            from segment_archives a
          ), 0)
        from unnest(statuses) with ordinality as n(status, place)
        left join message_states m on m.status = n.status
        group by n.place, n.status order by n.place
      )
    into strict counted, scanned
    from status_counts() c;
  if counted = scanned then
    return;
  end if;
  insert into status_count_deltas (position, pending, processing, success, failed, dead_letter)
    values (current_position(), scanned[1] - counted[1], scanned[2] - counted[2], scanned[3] - counted[3],
      scanned[4] - counted[4], scanned[5] - counted[5]);
  perform pg_notify('message_events', '');
  return query
    select n.status, n.was, n.became from unnest(statuses, counted, scanned) as n(status, was, became) where n.was <> n.became;
end
$$;
