-- Moves each sequence of ids up to the highest id in use, never back. A logical upgrade or a restore may leave a sequence too
-- low, and ids that are in use would be given out again.
--
-- Called by: src/log/write/advance-ids.ts (at the start, and when ingest met an id in use).
-- Returns: one row for each sequence that was moved.
create or replace function advance_ids() returns table (ids text, was bigint, became bigint)
language plpgsql volatile security definer
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
  last_id text;
begin
  for ids, became in
    select 'message_ids', greatest(
      (select max(e.message_id) from message_events e),
      (select max(s.message_id) from message_states s),
      (select max(r.message_id) from records r),
      (select max(a.next_message_id) - 1 from segment_archives a))
    union all
    select pg_get_serial_sequence('partitions', 'partition_id'), (select max(p.partition_id) from partitions p)
    union all
    select 'replay_plan_numbers', (select max(p.plan) from replay_plans p)
    union all
    select pg_get_serial_sequence('accesses', 'access'), (select max(a.access) from accesses a)
  loop
    last_id := format('select last_value - case when is_called then 0 else 1 end from %s', ids);
    execute last_id into was;
    continue when was >= coalesce(became, 0);
    -- This changes nothing but takes a lock: it waits for transactions that took an id, and nobody takes one until this
    -- transaction ends.
    execute format('alter sequence %s no cycle', ids);
    execute last_id into was;
    continue when was >= became;
    perform setval(ids::regclass, became);
    return next;
  end loop;
end
$$;
