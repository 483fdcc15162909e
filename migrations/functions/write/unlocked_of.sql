-- Which of these messages no other session holds now. Waits for no row. For a batch that met a lock of an operator's session, which
-- may last: what is free is stored without it.
drop function if exists unlocked_of;
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
