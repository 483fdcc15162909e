-- Finds the attempts that are still open although their lease has ended, and keeps them in `overdue_attempts`. Each statement that
-- started attempts is looked at once. Nearly always all of its attempts have ended long before their leases.
--
-- It also deletes what is kept of attempts that have ended meanwhile. No message is locked.
--
-- `in_from` is a lower bound of the lease ends: the caller knows that nothing is left below it. `in_now` is the upper one.
--
-- Called by: look, expired, count_missed.
-- Returns: nothing.
create or replace function note_overdue(in_from timestamptz, in_now timestamptz) returns void
language plpgsql volatile
set search_path = public, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  -- A look stays short, also after a long stop.
  statements_max constant int := 20000;
  started record;
  found_ids bigint[] := '{}';
  first_id bigint;
  last_id bigint;
begin
  delete from overdue_attempts o where not exists (
    select from message_states s
    where s.message_id = o.message_id and s.status = 'processing' and s.lease_ends_at = o.lease_ends_at
  );
  for started in
    -- Another instance may be at it. Then it is done, or done again by the next look.
    with ended as (
      delete from lease_checks c
      where c.ctid = any (array(
        select k.ctid from lease_checks k where k.lease_ends_at >= in_from and k.lease_ends_at <= in_now
        order by k.lease_ends_at limit statements_max for update skip locked
      ))
      returning c.position
    )
    select p.message_ids from ended e join event_positions p on p.position = e.position
  loop
    first_id := started.message_ids[1];
    last_id := started.message_ids[cardinality(started.message_ids)];
    -- The messages of a slice lie side by side. Reading such a range is several times cheaper than reading them one by one.
    if last_id - first_id < 4 * cardinality(started.message_ids) then
      found_ids := found_ids || array(
        select s.message_id from message_states s
        where s.message_id between first_id and last_id and s.status = 'processing' and s.lease_ends_at <= in_now
      );
    else
      found_ids := found_ids || array(
        select s.message_id from message_states s
        where s.message_id = any (started.message_ids) and s.status = 'processing' and s.lease_ends_at <= in_now
      );
    end if;
  end loop;
  -- All at once and in order: two sessions may find the same attempt, because slices that are stored at once take ids in turn.
  insert into overdue_attempts (message_id, lease_ends_at)
    select distinct s.message_id, s.lease_ends_at from message_states s
    where s.message_id = any (found_ids) and s.status = 'processing' and s.lease_ends_at <= in_now
    order by 1, 2
    on conflict do nothing;
end
$$;
