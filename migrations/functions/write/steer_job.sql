-- Records an operator's decision about a job: `pause`, `resume`, `abort` or `pace`. A job that is resumed, also one that has stopped by
-- itself, begins to count anew for its stop, and its pace rises anew. What a job has replayed goes its way whatever becomes of the job.
--
-- Called by: src/log/write/steer-job.ts. `in_per_second` belongs to `pace`.
-- Returns: one row. `answer` is `steered`; `wrong_state`, and nothing was recorded; or `unknown`. `state` is the job's, after the decision if
-- there was one.
create or replace function steer_job(in_job bigint, in_action text, in_actor text, in_reason text, in_per_second double precision default null)
returns table (answer text, state text)
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
  at timestamptz;
  found_state replay_job_states;
begin
  if coalesce(btrim(in_actor), '') = '' or coalesce(btrim(in_reason), '') = '' then
    raise exception 'a decision takes an actor and a reason' using errcode = 'invalid_parameter_value';
  end if;
  if in_action is null or in_action not in ('pause', 'resume', 'abort', 'pace') then
    raise exception 'there is no decision %', in_action using errcode = 'invalid_parameter_value';
  end if;
  select * into found_state from replay_job_states s where s.job = in_job for no key update;
  if not found then
    return query select 'unknown', null::text;
    return;
  end if;
  if found_state.state not in ('running', 'paused', 'stopped')
      or in_action = 'pause' and found_state.state <> 'running'
      or in_action = 'resume' and found_state.state = 'running' then
    return query select 'wrong_state', found_state.state;
    return;
  end if;
  at := clock_timestamp();
  if in_action = 'pace' then
    found_state.per_second := in_per_second;
    -- The operator has seen how it goes, so it need not rise any more.
    found_state.ramp_from := null;
  else
    found_state.state := case in_action when 'pause' then 'paused' when 'resume' then 'running' else 'aborted' end;
    found_state.waits_for := null;
    found_state.rate := null;
  end if;
  if in_action = 'resume' then
    found_state.recent := '';
    found_state.stopped_because := null;
    found_state.running_since := at;
    found_state.rate_since := at;
    found_state.rate_from := found_state.replayed;
  end if;
  found_state := append_job_event(found_state,
    case in_action when 'pause' then 'paused' when 'resume' then 'resumed' when 'abort' then 'aborted' else 'pace_changed' end,
    in_actor, in_reason);
  update replay_job_states s set
    state = found_state.state,
    version = found_state.version,
    is_active = true,
    per_second = found_state.per_second,
    ramp_from = found_state.ramp_from,
    running_since = found_state.running_since,
    next_at = at,
    recent = found_state.recent,
    waits_for = found_state.waits_for,
    stopped_because = found_state.stopped_because,
    rate = found_state.rate,
    rate_since = found_state.rate_since,
    rate_from = found_state.rate_from,
    ended_at = case when found_state.state = 'aborted' then at end
  where s.job = in_job;
  return query select 'steered', found_state.state;
end
$$;
