-- Adds up the advances of a partition to offsets above `in_above`.
--
-- Called by: fold_partitions, src/log/read/read-partitions.ts.
-- Returns: one row; all its columns are null if there are no such advances.
create or replace function sum_advances(in_partition_id int, in_above bigint)
returns table (first_offset bigint, next_offset bigint, received bigint, duplicates bigint, conflicts bigint, rejected bigint,
  holes bigint, gaps bigint)
language sql stable
as $$
  select min(a.first_offset), max(a.next_offset), sum(a.received)::bigint, sum(a.duplicates)::bigint, sum(a.conflicts)::bigint,
    sum(a.rejected)::bigint, sum(a.holes)::bigint, sum(a.gaps)::bigint
  from partition_advances a where a.partition_id = in_partition_id and a.next_offset > in_above
$$;
