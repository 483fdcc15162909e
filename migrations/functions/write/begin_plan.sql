-- Gives a new plan its number. It is a transaction of its own: what takes a number holds back the readers of the log until it is
-- committed, and to freeze a plan may take seconds.
--
-- Called by: src/log/write/plan-replay.ts.
-- Returns: the number.
create or replace function begin_plan() returns bigint
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
begin
  return nextval('replay_plan_numbers');
end
$$;
