-- Makes one step of a job, in one short transaction: it counts what has ended, and replays or resolves the next messages. Of all instances
-- one at a time makes the steps of a job. Another one takes over when it has made none for `in_runner_ms`.
--
-- A replay goes no faster than its pace. Live payments go first: no more messages of all jobs are under way or due than a tenth of `in_room`,
-- the room of the fresh lane, and none is replayed unless the destination flows at its full pace. A pace that rises doubles every 10 s.
--
-- Of a job that stops after `stop_after` attempts no more are under way than that, less those of the last ones that failed. So if all
-- attempts begin to fail, it stops within that many.
--
-- A hold ends by probes, and a probe needs a message. So while the destination is held, and nothing else is due when a probe may start, one
-- message is replayed.
--
-- Called by: src/log/write/step-job.ts.
-- Returns: one row. `state` is the job's, `waiting` if it runs and the destination does not flow, or `elsewhere` if another instance runs it.
-- `due_in_ms` is when to come again, null for not at all. `worked` and `passed` are how many were replayed or resolved, and skipped.
-- `reason` is why the job stopped or waits.
create or replace function step_job(in_job bigint, in_runner text, in_room int, in_runner_ms bigint)
returns table (state text, due_in_ms double precision, worked int, passed int, reason text)
language plpgsql volatile security definer
set search_path = public, pg_temp
set jit = off
as $$
#variable_conflict use_variable
declare
  batch_max constant int := 500;
  -- A step is never sooner than that, unless nothing holds it back. It costs 1 to 3 ms, and 10 µs for each message that jobs have open.
  -- From 1,000 on the steps are rarer, so that they take a fifth of the time at most.
  step_ms int := 50;
  -- After a stall a job makes up for so much of its pace.
  made_up constant interval := '250 milliseconds';
  -- How long the runner is alone. What ends later was written by a clock that was set back since.
  runner_time constant interval := in_runner_ms * interval '1 millisecond';
  -- While nothing of a job is due, there is no hurry to see whether its room is free.
  idle_ms constant int := 1000;
  -- So many messages of all jobs may be open, most of them waiting. Each step looks at all of them.
  open_max constant int := 5000;
  job replay_jobs;
  s replay_job_states;
  target destinations;
  at timestamptz;
  before_counts bigint;
  pace double precision;
  room int;
  opened record;
  is_runner boolean;
  is_probe boolean;
  failed int;
  registered instances;
  taken record;
  did record;
begin
  worked := 0;
  passed := 0;
  -- Whoever only waits for its turn must not lock the row: the runner would find it locked, and lose its pace.
  select * into s from replay_job_states t where t.job = in_job;
  is_runner := s.runner is not distinct from in_runner;
  at := clock_timestamp();
  if not is_runner and s.runner_until > at and s.runner_until <= at + runner_time then
    return query select 'elsewhere', extract(epoch from s.runner_until - at)::double precision * 1000, 0, 0, null::text;
    return;
  end if;
  select * into s from replay_job_states t where t.job = in_job for no key update skip locked;
  if not found then
    -- An operator decides about the job, or another instance takes it over. The runner comes again soon, for its pace.
    return query select 'elsewhere', (case when is_runner then step_ms else idle_ms end)::double precision, 0, 0, null::text;
    return;
  end if;
  at := clock_timestamp();
  if not s.is_active then
    return query select s.state, null::double precision, 0, 0, null::text;
    return;
  end if;
  if s.runner <> in_runner and s.runner_until > at and s.runner_until <= at + runner_time then
    return query select 'elsewhere', extract(epoch from s.runner_until - at)::double precision * 1000, 0, 0, null::text;
    return;
  end if;
  select * into job from replay_jobs j where j.job = in_job;
  before_counts := s.replayed + s.succeeded + s.failed_again;
  s.runner := in_runner;
  s.runner_until := at + runner_time;
  -- A clock that was set back leaves these in the future.
  s.running_since := least(s.running_since, at);
  s.told_at := least(s.told_at, at);
  if s.rate_since > at then
    s.rate_since := at;
    s.rate_from := s.replayed;
  end if;
  s := count_ended(s, job.stop_after);
  due_in_ms := step_ms;
  failed := length(replace(s.recent, 's', ''));
  if s.state = 'running' and length(s.recent) = job.stop_after and failed >= job.stop_share * job.stop_after then
    s.state := 'stopped';
    s.rate := null;
    s.stopped_because := format('%s of the last %s that ended failed again, and the job stops at %s %%', failed, job.stop_after,
      round((job.stop_share * 100)::numeric, 1));
    s := append_job_event(s, 'stopped', in_runner, s.stopped_because);
  end if;
  if s.state = 'running' then
    select * into target from destinations d where d.destination = 'default';
    s.waits_for := case
      when job.kind = 'resolve' then null
      when target.state <> 'flowing' then format('destination %s is %s', target.destination, target.state)
      when target.throttled_at is not null then format('destination %s asked for less', target.destination)
    end;
    select * into opened from count_open(in_job);
    step_ms := greatest(step_ms, opened.every / 20);
    due_in_ms := step_ms;
    is_probe := s.waits_for is not null and target.state = 'held' and lacks_probe(target) and opened.busy = 0;
    if s.waits_for is not null and not is_probe then
      s.next_at := at;
      due_in_ms := idle_ms;
    else
      pace := case when job.kind = 'replay' and not is_probe then
        least(s.per_second, s.ramp_from * 2 ^ least(floor(extract(epoch from at - s.running_since)::double precision / 10), 60)) end;
      -- Nothing waits longer than one replay takes at this pace: a clock that was set back, or a pace that was slower, had it wait longer.
      s.next_at := greatest(at - made_up, case when pace is null then s.next_at else least(s.next_at, at + 1 / pace * interval '1 second') end);
      room := case when job.kind = 'resolve' then batch_max when is_probe then 1
        else least(greatest(1, in_room / 10) - opened.busy, open_max - opened.every) end;
      if job.stop_after is not null and job.kind = 'replay' and not is_probe then
        room := least(room, greatest(1, job.stop_after - failed) - opened.own_busy);
      end if;
      if room <= 0 and opened.own_busy = 0 then
        due_in_ms := idle_ms;
      end if;
      if pace is not null then
        room := least(room, case when s.next_at > at then 0 else floor(extract(epoch from at - s.next_at) * pace)::int + 1 end);
      end if;
      if room > 0 then
        select * into taken from take_ids(s, job.kind, least(room, batch_max));
        s := taken.state;
        if cardinality(taken.message_ids) > 0 then
          -- The window that is in force is that of the instance which was started last, as in the plan.
          select i.* into registered from instances i order by i.started_at desc limit 1;
          select * into did from work_ids(job, taken.message_ids, taken.versions, registered.key_window_ms, registered.lease_ms);
          worked := did.done;
          passed := cardinality(taken.message_ids) - did.done;
          s.replayed := s.replayed + did.done;
          s.skipped := s.skipped || coalesce((
            select jsonb_object_agg(k.key, k.value::bigint + coalesce((s.skipped ->> k.key)::bigint, 0)) from jsonb_each_text(did.skipped) k
          ), '{}');
          if pace is not null then
            s.next_at := s.next_at + did.done / pace * interval '1 second';
          end if;
          -- What was skipped took nothing of the room.
          due_in_ms := case when job.kind = 'resolve' or passed > 0 then 0 when is_probe then idle_ms else step_ms end;
        elsif opened.own > 0 then
          -- All that was planned has been replayed, and some has not ended.
          due_in_ms := case when opened.own_busy > 0 then step_ms else idle_ms end;
        else
          s.state := 'done';
          s.rate := null;
          s.ended_at := clock_timestamp();
          s := append_job_event(s, 'done', in_runner, 'all that was planned is replayed, resolved or skipped');
        end if;
      end if;
      if pace is not null then
        due_in_ms := greatest(due_in_ms, extract(epoch from s.next_at - at)::double precision * 1000);
      end if;
    end if;
    if s.state = 'running' and at >= s.rate_since + interval '2 seconds' then
      s.rate := (s.replayed - s.rate_from) / extract(epoch from at - s.rate_since)::double precision;
      s.rate_since := at;
      s.rate_from := s.replayed;
    end if;
  end if;
  if s.state <> 'running' then
    s.waits_for := null;
    -- Those that are still open are counted when they end.
    s.is_active := exists (select from replay_job_open o where o.job = in_job);
    due_in_ms := case when s.is_active then 500 end;
  end if;
  if at >= s.told_at + interval '1 second' and before_counts <> s.replayed + s.succeeded + s.failed_again then
    s.told_at := at;
    perform pg_notify('replay_job_counts', in_job::text);
  end if;
  update replay_job_states t set
    state = s.state,
    version = s.version,
    is_active = s.is_active,
    running_since = s.running_since,
    next_at = s.next_at,
    is_at_replayable = s.is_at_replayable,
    piece = s.piece,
    place = s.place,
    replayed = s.replayed,
    succeeded = s.succeeded,
    failed_again = s.failed_again,
    skipped = s.skipped,
    recent = s.recent,
    waits_for = s.waits_for,
    stopped_because = s.stopped_because,
    rate = s.rate,
    rate_since = s.rate_since,
    rate_from = s.rate_from,
    runner = s.runner,
    runner_until = s.runner_until,
    told_at = s.told_at,
    ended_at = s.ended_at
  where t.job = in_job;
  return query select case when s.waits_for is null then s.state else 'waiting' end, due_in_ms, worked, passed,
    coalesce(s.stopped_because, s.waits_for);
end
$$;
