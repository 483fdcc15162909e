-- Adds the oldest deltas below the watermark to the rollups and to the counts by status. It records as the new bound how far it
-- came, and folds the partitions' advances too. One session at a time does this, under an advisory lock. A reader sees the
-- state before it or the state after it, never something between.
--
-- A piece has at most `in_piece_rows` deltas of each kind, unless one position alone has more. So a fold stays shorter than
-- statement_timeout however much piled up while the watermark was held back. Every scan begins at the bound, because the index
-- keeps entries of deleted deltas until the next vacuum. A delta of a minute that has aged (`age_rollups`) is added to its hour or
-- day. Both functions hold the same lock, so the bounds do not move meanwhile.
--
-- Called by: src/log/write/fold-counts.ts (the sweep, `npm run rebuild`, and whoever reads metrics).
-- Returns: true if more deltas wait below the watermark. False if none do, if fewer than `in_rows_min` wait, or if another
-- session is folding.
create or replace function fold_piece(in_rows_min int default 1, in_piece_rows int default 10000) returns boolean
language plpgsql volatile security definer
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
  old_fold status_count_folds;
  reached bigint;
  new_bound bigint;
begin
  select * into strict old_fold from status_count_folds order by bound desc limit 1;
  if (
    select count(*) from (select from status_count_deltas where position >= old_fold.bound limit in_rows_min) d
  ) < in_rows_min then
    return false;
  end if;
  if not pg_try_advisory_xact_lock(hashtextextended('fold_counts', 0)) then
    return false;
  end if;
  perform fold_partitions();
  -- Read again: another fold may have ended before this one got the lock.
  select * into strict old_fold from status_count_folds order by bound desc limit 1;
  reached := watermark();
  -- Up to the first delta that is too many. A position is never divided.
  new_bound := least(
    reached,
    (
      select greatest(d.position, f.position + 1)
      from (
        select position from status_count_deltas where position >= old_fold.bound order by position offset in_piece_rows limit 1
      ) d
      cross join (select position from status_count_deltas where position >= old_fold.bound order by position limit 1) f
    ),
    (
      select greatest(d.position, f.position + 1)
      from (select position from failure_deltas where position >= old_fold.bound order by position offset in_piece_rows limit 1) d
      cross join (select position from failure_deltas where position >= old_fold.bound order by position limit 1) f
    )
  );
  if not exists (select from status_count_deltas where position >= old_fold.bound and position < reached) then
    return false;
  end if;
  perform fold_failures(old_fold.bound, new_bound);
  with gone as (
    delete from status_count_deltas where position >= old_fold.bound and position < new_bound returning *
  ),
  summed as (
    insert into rollups as r (minute, measure, bucket, n)
      select a.minute, u.measure, u.bucket, case when is_maximum(u.measure) then max(u.n) else sum(u.n) end
      from gone g
      cross join aged_below() b
      cross join lateral unnest(g.minutes, g.measures, g.buckets, g.counts) as u(minute, measure, bucket, n)
      cross join lateral (select aged_minute(u.minute, b.hours_below, b.days_below) as minute) a
      group by a.minute, u.measure, u.bucket
      order by a.minute, u.measure, u.bucket
    on conflict (minute, measure, bucket) do update
      set n = case when is_maximum(r.measure) then greatest(r.n, excluded.n) else r.n + excluded.n end
  )
  insert into status_count_folds (bound, pending, processing, success, failed, dead_letter)
    select new_bound, old_fold.pending + coalesce(sum(pending), 0), old_fold.processing + coalesce(sum(processing), 0),
      old_fold.success + coalesce(sum(success), 0), old_fold.failed + coalesce(sum(failed), 0),
      old_fold.dead_letter + coalesce(sum(dead_letter), 0)
    from gone;
  delete from status_count_folds where bound < new_bound;
  return new_bound < reached;
end
$$;
