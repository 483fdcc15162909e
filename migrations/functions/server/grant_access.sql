-- Gives the service's role the rights it needs: it may read all that is ours and execute the functions of the API. Takes every
-- other right from this role, and from PUBLIC, to whom PostgreSQL grants every new function.
--
-- A function's declaration says who may call it. `security definer`: the write API, which runs as the owner and has a fixed
-- search_path. Not volatile: it serves reading. All others are parts of the write API, and nobody may call them directly. Ours
-- is what belongs to the owner of the log, or to the caller.
--
-- Called by: src/runtime/migrate.ts, at every start. `in_service` is the role. If it is null or an owner, only the rights of
-- PUBLIC change.
-- Returns: nothing.
--
-- Objects of a later release that runs beside this one are treated the same, and other roles keep their rights. So two
-- releases, or two services, may take turns at this.
create or replace function grant_access(in_service name) returns void
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
  owners oid[] := array(select relowner from pg_class where oid = 'message_events'::regclass) || current_user::regrole::oid;
  is_other boolean := in_service is not null and in_service::regrole <> all (owners);
  losers text := case when is_other then format('public, %I', in_service) else 'public' end;
  ours record;
begin
  -- A role that may create functions in our schema could have them called as the owner.
  execute format('revoke create on schema public from %s', losers);
  if is_other then
    execute format('grant usage on schema public to %I', in_service);
  end if;
  for ours in
    select case c.relkind when 'S' then 'sequence' else 'table' end as kind, c.oid::regclass::text as name,
      case when c.relkind <> 'S' then 'select' end as needed
    from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relowner = any (owners) and c.relkind in ('r', 'p', 'v', 'm', 'S')
      and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
    union all
    select 'routine', p.oid::regprocedure::text, case when p.prosecdef or p.provolatile <> 'v' then 'execute' end
    from pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.proowner = any (owners)
      and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
    order by 1, 2
  loop
    execute format('revoke all on %s %s from %s', ours.kind, ours.name, losers);
    if is_other and ours.needed is not null then
      execute format('grant %s on %s %s to %I', ours.needed, ours.kind, ours.name, in_service);
    end if;
  end loop;
end
$$;
