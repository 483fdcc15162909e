-- Refuses every change of a plan and of its ids, but to remove a plan that no job has started.
--
-- Called by: the triggers `keep_planned` and `keep_all` of replay_plans and replay_plan_ids, which this file makes.
-- Refuses: with the SQLSTATE 42501 (insufficient_privilege).
create or replace function keep_planned() returns trigger
language plpgsql
set search_path = public, pg_temp
as $$
begin
  if tg_op = 'DELETE' and tg_level = 'ROW' and not exists (select from replay_jobs j where j.job = old.plan) then
    return old;
  end if;
  raise exception '% on % is refused: what a job was started with stays', tg_op, tg_table_name
    using errcode = 'insufficient_privilege';
end
$$;

do $$
declare
  planned text;
begin
  foreach planned in array array['replay_plans', 'replay_plan_ids']
  loop
    execute format('create or replace trigger keep_planned before update or delete on %I for each row execute function keep_planned()',
      planned);
    execute format('create or replace trigger keep_all before truncate on %I for each statement execute function keep_planned()', planned);
    execute format('alter table %I enable always trigger keep_planned', planned);
    execute format('alter table %I enable always trigger keep_all', planned);
  end loop;
end
$$;
