-- Moves the sequences that ids come from up to the highest id that there is, and never back: a logical upgrade or a restore may leave
-- them below, and ids would be given out that others have. Answers a row for each that it moved.
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
      (select max(r.message_id) from records r))
    union all
    select pg_get_serial_sequence('partitions', 'partition_id'), (select max(p.partition_id) from partitions p)
  loop
    last_id := format('select last_value - case when is_called then 0 else 1 end from %s', ids);
    execute last_id into was;
    continue when was >= coalesce(became, 0);
    -- Changes nothing, and from here on nobody takes an id before this transaction ends: whoever took one is waited for.
    execute format('alter sequence %s no cycle', ids);
    execute last_id into was;
    continue when was >= became;
    perform setval(ids::regclass, became);
    return next;
  end loop;
end
$$;
