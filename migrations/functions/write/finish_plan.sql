-- Makes a plan of the ids that were frozen in this transaction. It expires an hour later.
--
-- Called by: src/log/write/plan-replay.ts.
-- Returns: nothing.
create or replace function finish_plan(
  in_plan bigint,
  in_actor text,
  in_reason text,
  in_filter jsonb,
  in_dead_letters bigint,
  in_outcome_unknown bigint,
  in_past_key_window bigint,
  in_by_pattern jsonb,
  in_by_cause jsonb,
  in_not_replayable jsonb
) returns void
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
declare
  -- The time by which the plan counted what is past the window of its key: a job confirms just those (work_ids).
  planned_at constant timestamptz := transaction_timestamp();
begin
  insert into replay_plans (plan, planned_at, expires_at, actor, reason, filter, dead_letters, outcome_unknown, past_key_window, by_pattern,
      by_cause, not_replayable)
    values (in_plan, planned_at, planned_at + interval '1 hour', in_actor, in_reason, in_filter, in_dead_letters, in_outcome_unknown,
      in_past_key_window, in_by_pattern, in_by_cause, in_not_replayable);
end
$$;
