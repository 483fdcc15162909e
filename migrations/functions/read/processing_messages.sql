-- Lists the messages that have an open attempt: of one instance and lane (`in_actor`), or with null of all.
--
-- No index has them, so that an attempt costs none. They are among the messages of the statements that started attempts whose leases
-- have not ended yet, and among the overdue ones.
--
-- Called by: open_attempts, src/log/read/messages.
-- Returns: their ids, in order.
create or replace function processing_messages(in_actor text) returns setof bigint
language plpgsql stable
set search_path = public, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
  return query
  select s.message_id
  from (
    select u.message_id
    from lease_checks c
    join event_positions p on p.position = c.position
    cross join lateral unnest(p.message_ids) as u(message_id)
    where in_actor is null or c.actor = in_actor
    union
    select o.message_id from overdue_attempts o
  ) started
  join message_states s on s.message_id = started.message_id
  where s.status = 'processing' and (in_actor is null or s.claimed_by = in_actor)
  order by s.message_id;
end
$$;
