-- Records an operator's decision on a stopped partition, and notifies whoever reads it. `in_low` and `in_high` are the first
-- offset that the broker has now, and the offset after its last one.
--   resumed            go on where the partition stands
--   gap_accepted       go on at the first offset that can be read; what lies before it is given up, and recorded as given up
--   incarnation_begun  the topic was created anew: go on at the broker's first offset, as the partition's next incarnation
--
-- Called by: src/log/write/decide-partition.ts (`npm run partition`).
-- Returns: one row. `decided` says where the partition stood and where it goes on. Otherwise nothing was recorded:
-- `not_stopped`, `no_gap` (the broker has the next offset), or `beyond` (the broker's records end before that offset).
create or replace function decide_partition(
  in_topic text,
  in_partition int,
  in_type text,
  in_low bigint,
  in_high bigint,
  in_actor text,
  in_reason text
) returns table (answer text, stood_at bigint, goes_on_at bigint, stopped_by text)
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
declare
  held partitions;
  latest partition_decisions;
begin
  answer := 'not_stopped';
  select * into held from partitions where topic = in_topic and partition = in_partition
    order by incarnation desc limit 1 for no key update;
  -- A statement of its own, because it sees what was decided while the one above waited. The row may not be the highest
  -- incarnation any more; then it is not stopped.
  select * into latest from partition_decisions where partition_id = held.partition_id order by decision desc limit 1;
  if latest.type is distinct from 'stopped' then
    return next;
    return;
  end if;
  stood_at := latest.next_offset;
  stopped_by := latest.reason;
  answer := 'decided';
  case in_type
    when 'resumed' then
      goes_on_at := stood_at;
    when 'gap_accepted' then
      goes_on_at := greatest(stood_at, latest.resume_offset, in_low);
      answer := case when stood_at > in_high or goes_on_at > in_high then 'beyond' when goes_on_at = stood_at then 'no_gap'
        else answer end;
    when 'incarnation_begun' then
      goes_on_at := in_low;
  end case;
  if answer <> 'decided' then
    return next;
    return;
  end if;

  insert into partition_decisions (partition_id, decision, type, next_offset, resume_offset, recorded_at, actor, reason)
    values (held.partition_id, latest.decision + 1, in_type, stood_at, goes_on_at, clock_timestamp(), in_actor, in_reason);
  if in_type = 'gap_accepted' then
    insert into partition_advances (partition_id, first_offset, next_offset, received, duplicates, conflicts, rejected, holes,
        gaps, recorded_at, actor)
      values (held.partition_id, stood_at, goes_on_at, 0, 0, 0, 0, 0, goes_on_at - stood_at, clock_timestamp(), in_actor);
  elsif in_type = 'incarnation_begun' then
    insert into partitions (topic, partition, incarnation, begins_at)
      values (in_topic, in_partition, held.incarnation + 1, in_low);
  end if;
  perform pg_notify('partition_decided', '');
  return next;
end
$$;
