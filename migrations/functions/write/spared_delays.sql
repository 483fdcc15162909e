-- Gives the delay of each message if its failure is spared: the backoff of its count under the settings of the instance, without jitter.
--
-- Called by: settle, abandon.
create or replace function spared_delays(in_actor text, in_message_ids bigint[]) returns bigint[]
language sql stable
set search_path = public, pg_temp
as $$
  select array(
    select coalesce(least(i.max_delay_ms, i.base_delay_ms * power(2, least(s.retry_count, 30)))::bigint, 60000)
    from unnest(in_message_ids) with ordinality as u(message_id, place)
    left join message_states s on s.message_id = u.message_id
    left join instances i on i.instance = split_part(in_actor, '/', 1)
    order by u.place
  )
$$;
