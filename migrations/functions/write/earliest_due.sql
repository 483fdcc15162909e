-- Says when the earliest message of a queue is due. `in_is_slow` and `in_look_from` are as in lock_due.
--
-- Called by: look_lane, lacks_probe, share_slots.
-- Returns: null if none waits.
create or replace function earliest_due(in_queue text, in_is_slow boolean, in_look_from timestamptz) returns timestamptz
language plpgsql volatile
set search_path = public, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
begin
  if in_is_slow is null then
    return (
      select s.due_at from message_states s
      where s.queue = in_queue and s.due_at is not null and s.due_at >= in_look_from
      order by s.due_at limit 1
    );
  elsif in_is_slow then
    return (
      select s.due_at from message_states s
      where s.queue = 'failed' and s.is_slow and s.due_at is not null and s.due_at >= in_look_from
      order by s.due_at limit 1
    );
  else
    return (
      select s.due_at from message_states s
      where s.queue = 'failed' and not s.is_slow and s.due_at is not null and s.due_at >= in_look_from
      order by s.due_at limit 1
    );
  end if;
end
$$;
