-- Adds the advances that are not folded yet to `partition_folds`. It needs no watermark: whoever advances a partition holds the
-- partition's row until the commit, so an advance that can be seen has all earlier ones before it.
--
-- Called by: fold_piece, which holds the lock.
-- Returns: nothing.
create or replace function fold_partitions() returns void
language plpgsql volatile
set search_path = public, pg_temp
as $$
begin
  insert into partition_folds as f (partition_id, first_offset, next_offset, received, duplicates, conflicts, rejected, holes,
      gaps)
    select p.partition_id, a.first_offset, a.next_offset, a.received, a.duplicates, a.conflicts, a.rejected, a.holes,
      a.gaps
    from partitions p
    left join partition_folds o on o.partition_id = p.partition_id
    cross join lateral sum_advances(p.partition_id, coalesce(o.next_offset, -1)) a
    where a.next_offset is not null
  on conflict (partition_id) do update set
    next_offset = excluded.next_offset,
    received = f.received + excluded.received,
    duplicates = f.duplicates + excluded.duplicates,
    conflicts = f.conflicts + excluded.conflicts,
    rejected = f.rejected + excluded.rejected,
    holes = f.holes + excluded.holes,
    gaps = f.gaps + excluded.gaps;
end
$$;
