-- Gives the calling transaction its position in the log, and a transaction id if it has none yet. Until the transaction ends, no epoch
-- begins: what is appended in the old epoch is committed before it.
--
-- Called by: the functions that append events, count_failures, rebuild_counts.
-- Returns: the transaction id plus the base of the present epoch.
-- Refuses, with the SQLSTATE 55000: while positions from before a restore lie above it. Events that are appended then would be
-- read, folded and counted out of order.
create or replace function current_position() returns bigint
language plpgsql volatile
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
  base bigint;
  given bigint;
  ahead bigint;
begin
  -- The weakest lock that recognize_server waits for. A dump does not have it.
  lock table log_epochs in row share mode;
  -- A statement of its own, because it sees the epoch that began while the one above waited.
  base := (select l.base from log_epochs l order by l.epoch desc limit 1);
  given := pg_current_xact_id()::text::bigint;
  -- Every statement that appended has left a delta, and folded deltas lie below the bound of the fold. Both tables are small, and
  -- so this finds the highest position sooner than the log itself would. The rest is `rewound_by`, written out: calling a function in
  -- SQL has it planned anew for each statement (0.2 ms, measured).
  select greatest(f.bound, d.position + 1) - greatest(pg_snapshot_xmax(pg_current_snapshot())::text::bigint, given + 1) - base
    into ahead
  from (select bound from status_count_folds order by bound desc limit 1) f
  left join lateral (
    select c.position from status_count_deltas c where c.position >= f.bound order by c.position desc limit 1
  ) d on true;
  if ahead > 0 then
    raise exception 'the log reaches % positions beyond the transaction ids of this cluster, as after a restore into a younger one', ahead
      using errcode = 'object_not_in_prerequisite_state', hint = 'npm run epoch -- --reason R';
  end if;
  return given + base;
end
$$;
