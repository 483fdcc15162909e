-- Sums the deltas below the watermark into the rollups and the counts by status, records that bound, and folds the partitions'
-- advances. Does nothing while fewer than `rows_min` deltas wait. Alone under an advisory lock; readers see either side of it
-- whole.
create or replace function fold_counts(rows_min int default 1) returns void
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
declare
  old_fold status_count_folds;
  new_bound bigint;
begin
  if (select count(*) from (select from status_count_deltas limit rows_min) d) < rows_min then
    return;
  end if;
  if not pg_try_advisory_xact_lock(hashtextextended('fold_counts', 0)) then
    return;
  end if;
  perform fold_partitions();
  select * into strict old_fold from status_count_folds order by bound desc limit 1;
  new_bound := watermark();
  if not exists (select from status_count_deltas where position >= old_fold.bound and position < new_bound) then
    return;
  end if;
  perform fold_failures(old_fold.bound, new_bound);
  with gone as (
    delete from status_count_deltas where position < new_bound returning *
  ),
  summed as (
    insert into rollups as r (minute, measure, bucket, n)
      select u.minute, u.measure, u.bucket, case when is_maximum(u.measure) then max(u.n) else sum(u.n) end
      from gone g
      cross join lateral unnest(g.minutes, g.measures, g.buckets, g.counts) as u(minute, measure, bucket, n)
      where g.position >= old_fold.bound
      group by u.minute, u.measure, u.bucket
      order by u.minute, u.measure, u.bucket
    on conflict (minute, measure, bucket) do update
      set n = case when is_maximum(r.measure) then greatest(r.n, excluded.n) else r.n + excluded.n end
  )
  insert into status_count_folds (bound, pending, processing, success, failed, dead_letter)
    select new_bound, old_fold.pending + sum(pending), old_fold.processing + sum(processing), old_fold.success + sum(success),
      old_fold.failed + sum(failed), old_fold.dead_letter + sum(dead_letter)
    from gone where position >= old_fold.bound;
  delete from status_count_folds where bound < new_bound;
end
$$;
