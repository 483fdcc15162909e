-- Gives the calling transaction its position in the log, and a transaction id if it has none yet.
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
  ahead bigint;
begin
  -- Every statement that appended has left a delta, and folded deltas lie below the bound of the fold. Both tables are small, and
  -- so this finds the highest position sooner than the log itself would.
  select rewound_by(greatest(f.bound, d.position + 1)) into ahead
  from (select bound from status_count_folds order by bound desc limit 1) f
  left join lateral (
    select c.position from status_count_deltas c where c.position >= f.bound order by c.position desc limit 1
  ) d on true;
  if ahead > 0 then
    raise exception 'the log reaches % positions beyond the transaction ids of this cluster, as after a restore into a younger one', ahead
      using errcode = 'object_not_in_prerequisite_state', hint = 'npm run epoch -- --reason R';
  end if;
  return pg_current_xact_id()::text::bigint + (select base from log_epochs order by epoch desc limit 1);
end
$$;
