-- Adds up the advances of every partition again, and removes a wrong row of `partition_folds`. The next fold makes it anew.
--
-- Called by: src/log/write/rebuild.ts (`npm run rebuild`). It waits for a fold that is under way.
-- Returns: one row for each partition that differed.
create or replace function rebuild_partitions() returns table (topic text, partition int, was text, became text)
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
#variable_conflict use_column
begin
  perform pg_advisory_xact_lock(hashtextextended('fold_counts', 0));
  return query
  with summed as (
    select f as stored, p.topic, p.partition, row (p.partition_id, a.*)::partition_folds as counted
    from partition_folds f
    join partitions p on p.partition_id = f.partition_id
    cross join lateral (
      select min(a.first_offset), max(a.next_offset), sum(a.received)::bigint, sum(a.duplicates)::bigint,
        sum(a.conflicts)::bigint, sum(a.rejected)::bigint, sum(a.holes)::bigint, sum(a.gaps)::bigint
      from partition_advances a where a.partition_id = p.partition_id and a.next_offset <= f.next_offset
    ) a
  ),
  removed as (
    -- The next fold adds it up from the start.
    delete from partition_folds f using summed s
    where f.partition_id = (s.stored).partition_id and s.stored is distinct from s.counted
  )
  select s.topic, s.partition, s.stored::text, s.counted::text from summed s where s.stored is distinct from s.counted order by 1, 2;
end
$$;
