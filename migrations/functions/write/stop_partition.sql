-- Stops a partition until an operator decides. It does so only if the partition still stands where the caller saw it stand:
-- otherwise a frozen instance would stop again what was decided while it slept. Stopping a stopped partition changes nothing.
--
-- Called by: src/log/write/stop-partition.ts. `in_resume` is the offset at which the partition would go on if an operator gives
-- up what stops it; null if it is not known.
-- Returns: true if the partition is stopped now.
create or replace function stop_partition(
  in_topic text,
  in_partition int,
  in_incarnation int,
  in_next bigint,
  in_resume bigint,
  in_reason text,
  in_actor text
) returns boolean
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
declare
  held partitions;
  latest partition_decisions;
  stored bigint;
begin
  if in_incarnation = 1 then
    insert into partitions (topic, partition) values (in_topic, in_partition) on conflict do nothing;
  end if;
  select * into strict held from partitions
    where topic = in_topic and partition = in_partition and incarnation = in_incarnation for no key update;
  select * into latest from partition_decisions where partition_id = held.partition_id order by decision desc limit 1;
  if latest.type = 'stopped' then
    return true;
  end if;
  stored := coalesce((select max(next_offset) from partition_advances where partition_id = held.partition_id), held.begins_at);
  if latest.type = 'incarnation_begun' or stored <> in_next then
    return false;
  end if;
  insert into partition_decisions (partition_id, decision, type, next_offset, resume_offset, recorded_at, actor, reason)
    values (held.partition_id, coalesce(latest.decision, 0) + 1, 'stopped', coalesce(stored, in_next), in_resume,
      clock_timestamp(), in_actor, in_reason);
  return true;
end
$$;
