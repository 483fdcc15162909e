-- Appends an event to a job, and notifies every instance. The caller keeps the row of the job's state locked, and stores what is returned.
--
-- Called by: start_job, steer_job, step_job.
-- Returns: the state with the version of the event.
create or replace function append_job_event(in_state replay_job_states, in_type text, in_actor text, in_reason text)
returns replay_job_states
language plpgsql volatile
set search_path = public, pg_temp
as $$
begin
  in_state.version := in_state.version + 1;
  insert into replay_job_events (job, version, recorded_at, type, actor, reason, per_second)
    values (in_state.job, in_state.version, clock_timestamp(), in_type, in_actor, in_reason, in_state.per_second);
  perform pg_notify('replay_job', in_state.job::text);
  return in_state;
end
$$;
