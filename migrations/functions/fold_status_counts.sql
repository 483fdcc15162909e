-- Sums the deltas below the watermark into one row and records that bound. Alone under an advisory lock; readers see either
-- side of it whole.
create or replace function fold_status_counts() returns void
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
declare
  old_fold status_count_folds;
  new_bound bigint;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('fold_status_counts', 0)) then
    return;
  end if;
  select * into strict old_fold from status_count_folds order by bound desc limit 1;
  new_bound := watermark();
  if not exists (select 1 from status_count_deltas where position >= old_fold.bound and position < new_bound) then
    return;
  end if;
  with gone as (
    delete from status_count_deltas where position < new_bound returning *
  )
  insert into status_count_folds (bound, pending, processing, success, failed, dead_letter)
    select new_bound, old_fold.pending + sum(pending), old_fold.processing + sum(processing), old_fold.success + sum(success),
      old_fold.failed + sum(failed), old_fold.dead_letter + sum(dead_letter)
    from gone where position >= old_fold.bound;
  delete from status_count_folds where bound < new_bound;
end
$$;
