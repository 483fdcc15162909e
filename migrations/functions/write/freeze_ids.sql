-- Keeps one piece of the ids of a plan, in the transaction that also finishes the plan.
--
-- Called by: src/log/write/plan-replay.ts, for each piece of what its filter found.
-- Returns: how many ids.
create or replace function freeze_ids(in_plan bigint, in_is_replayable boolean, in_piece int, in_message_ids bigint[], in_versions int[])
returns bigint
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
begin
  if exists (select from replay_plans p where p.plan = in_plan) then
    raise exception 'plan % is finished', in_plan using errcode = 'invalid_parameter_value';
  end if;
  insert into replay_plan_ids (plan, is_replayable, piece, message_ids, versions)
    values (in_plan, in_is_replayable, in_piece, in_message_ids, in_versions);
  return cardinality(in_message_ids);
end
$$;
