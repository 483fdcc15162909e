-- An operator's word on a stopped partition; whoever reads it is told. `in_low` and `in_high` are what the broker has of it now.
--   resumed            go on where it stands
--   gap_accepted       go on at the first offset that can be read; what lies before it is given up, and recorded as such
--   incarnation_begun  the topic was created anew: go on at the broker's first offset as the partition's next incarnation
-- Answers one row: `decided`, with where the partition stood and where it goes on; or what stands against it: `not_stopped`,
-- `no_gap` (the broker has what comes next), `beyond` (the broker ends before).
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
  -- In a statement of its own, which sees what was decided while this one waited: the row that it waited for may not be the
  -- highest any more, and is not stopped then.
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
