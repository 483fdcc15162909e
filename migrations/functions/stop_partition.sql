-- Stops a partition until an operator decides. Stopping a stopped one is no news.
create or replace function stop_partition(in_topic text, in_partition int, in_reason text, in_actor text) returns void
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
declare
  held int;
  latest partition_decisions;
begin
  insert into partitions (topic, partition) values (in_topic, in_partition) on conflict do nothing;
  select partition_id into strict held from partitions where topic = in_topic and partition = in_partition for no key update;
  select * into latest from partition_decisions where partition_id = held order by decision desc limit 1;
  if latest.type = 'stopped' then
    return;
  end if;
  insert into partition_decisions (partition_id, decision, type, next_offset, recorded_at, actor, reason)
    values (held, coalesce(latest.decision, 0) + 1, 'stopped',
      (select max(next_offset) from partition_advances where partition_id = held), clock_timestamp(), in_actor, in_reason);
end
$$;
