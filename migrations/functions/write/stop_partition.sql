-- Stops a partition until an operator decides, if it still stands where whoever stops it saw it stand: otherwise a frozen
-- instance would stop again what was decided while it slept. Stopping a stopped one is no news. Says whether it is stopped.
-- `in_resume` is where it would go on if what stops it were given up, as far as that is known.
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
