-- Says whether a lane may start a probe of a destination that is held. A probe is the attempt of the message that has been due longest, in
-- either lane; one that another session has locked is passed over, as in claim. There is one at a time, over all instances. The caller
-- keeps the row of the destination locked.
--
-- While the destination has asked to be left alone for a time, none starts.
--
-- Called by: look_lane. `in_status` is the status that the lane claims. `in_inquires`: of a message in doubt the probe is an inquiry. It is
-- the probe with an attempt of null until its lease ends or its answer is recorded.
create or replace function begin_probe(in_destination text, in_status text, in_inquires boolean default false) returns boolean
language plpgsql volatile
set search_path = public, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  looked_at timestamptz := clock_timestamp();
  place destinations;
  -- How many messages of a queue are looked at for one that is not in doubt.
  sure_among constant int := 1000;
  sure_queue text;
begin
  select * into place from destinations d
    where d.destination = in_destination and d.state = 'held' and (d.next_probe_at <= looked_at
      -- The clock was set back since.
      or d.next_probe_at > looked_at + d.probe_delay_ms * interval '1 millisecond')
      and (free_slots(d, looked_at)).slots is distinct from 0
    for no key update skip locked;
  if not found then
    return false;
  end if;
  if has_open_probe(place, looked_at) then
    return false;
  end if;
  -- An inquiry says less than an attempt. So, near the front of either queue, what is not in doubt goes first.
  if in_inquires then
    sure_queue := (
      select o.queue
      from unnest(array['pending', 'failed']) as q(queue)
      cross join lateral (
        select s.queue, s.due_at, s.message_id from (
          select m.queue, m.due_at, m.message_id, m.outcome_unknown from message_states m
          where m.queue = q.queue and m.due_at is not null and m.due_at <= looked_at
          order by m.due_at, m.message_id limit sure_among
        ) s
        where not s.outcome_unknown
        order by s.due_at, s.message_id limit 1
      ) o
      order by o.due_at, o.message_id limit 1
    );
    if sure_queue is not null then
      return in_status = sure_queue;
    end if;
  end if;
  return in_status is not distinct from (
    select o.queue
    from unnest(array['pending', 'failed']) as q(queue)
    cross join lateral (
      select s.queue, s.due_at, s.message_id from message_states s
      where s.queue = q.queue and s.due_at is not null and s.due_at <= looked_at
      order by s.due_at, s.message_id limit 1
      for no key update skip locked
    ) o
    order by o.due_at, o.message_id limit 1
  );
end
$$;
