-- Finds which of these messages no other session has locked. It waits for no row. A caller asks when its batch met a lock of an
-- operator's session, which may last: the unlocked messages are then stored without the locked ones.
--
-- Called by: src/log/write/find-unlocked.ts.
-- Returns: the ids of the messages that were free.
create or replace function unlocked_of(in_message_ids bigint[]) returns bigint[]
language plpgsql volatile security definer
set search_path = public, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
begin
  return (
    with free as materialized (
      select s.message_id from message_states s where s.message_id = any (in_message_ids)
      order by s.message_id for no key update skip locked
    )
    select coalesce(array_agg(f.message_id), '{}') from free f
  );
end
$$;
