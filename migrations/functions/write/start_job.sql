-- Starts the job of a plan. From then on an instance carries it out, see step_job.
--
-- Called by: src/log/write/steer-job.ts. `in_kind` is `replay` or `resolve`; a replay's reason is the plan's, if none is given.
-- Returns: what became of it:
--   started          the job has the number of the plan
--   repeated         this actor's request with this key has started it before
--   key_reused       this actor's request with this key has started it before, in another way
--   already_started  somebody else has, or another request
--   expired          the plan is older than an hour
--   unknown          there is no such plan; it may have expired
create or replace function start_job(
  in_plan bigint,
  in_kind text,
  in_resolution text,
  in_actor text,
  in_reason text,
  in_per_second double precision,
  in_ramp_from double precision,
  in_stop_share double precision,
  in_stop_after int,
  in_is_confirmed boolean,
  in_request_key text
) returns text
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
declare
  planned replay_plans;
  job replay_jobs;
  state replay_job_states;
  at timestamptz;
begin
  if in_kind = 'resolve' and coalesce(in_resolution in ('carried_out', 'not_carried_out', 'duplicate', 'ignored'), false) is not true then
    raise exception 'no resolution %', in_resolution using errcode = 'invalid_parameter_value';
  end if;
  -- Of two who start it the second waits here, and then finds the job.
  select * into planned from replay_plans p where p.plan = in_plan for update;
  if not found then
    return 'unknown';
  end if;
  at := clock_timestamp();
  select * into job from replay_jobs j where j.job = in_plan;
  if found then
    return case
      when in_request_key is null or job.actor <> in_actor or job.request_key is distinct from in_request_key then 'already_started'
      when (job.kind, job.resolution, job.per_second, job.ramp_from, job.stop_share, job.stop_after, job.is_confirmed)
        is not distinct from (in_kind, in_resolution, in_per_second, in_ramp_from, in_stop_share, in_stop_after, in_is_confirmed)
        and job.reason = coalesce(in_reason, planned.reason) then 'repeated'
      else 'key_reused'
    end;
  end if;
  if planned.expires_at <= at then
    return 'expired';
  end if;
  insert into replay_jobs (job, kind, resolution, started_at, actor, reason, request_key, per_second, ramp_from, stop_share, stop_after,
      is_confirmed)
    values (in_plan, in_kind, in_resolution, at, in_actor, coalesce(in_reason, planned.reason), in_request_key, in_per_second,
      in_ramp_from, in_stop_share, in_stop_after, in_is_confirmed);
  insert into replay_job_states (job, state, version, is_active, per_second, ramp_from, running_since, next_at, skipped, rate_since, told_at)
    values (in_plan, 'running', 0, true, in_per_second, in_ramp_from, at, at,
      case in_kind when 'replay' then (
        select coalesce(jsonb_object_agg(n ->> 'key', n -> 'count'), '{}') from jsonb_array_elements(planned.not_replayable) n
      ) else '{}' end, at, at)
    returning * into state;
  state := append_job_event(state, 'started', in_actor, coalesce(in_reason, planned.reason));
  update replay_job_states s set version = state.version where s.job = in_plan;
  return 'started';
end
$$;
