-- Removes the plans that have expired and that no job has started.
--
-- Called by: src/log/write/forget-plans.ts.
-- Returns: how many.
create or replace function forget_plans() returns bigint
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
declare
  forgotten bigint;
begin
  with expired as (
    select p.plan from replay_plans p
    where p.expires_at < clock_timestamp() and not exists (select from replay_jobs j where j.job = p.plan)
    for update skip locked
  )
  delete from replay_plans p using expired e where p.plan = e.plan;
  get diagnostics forgotten = row_count;
  return forgotten;
end
$$;
