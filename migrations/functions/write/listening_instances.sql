-- Lists the instances that have a LISTEN session on this server now. They run, unless they are frozen. An instance that has
-- crashed is not listed. Every role may read the names of all sessions.
--
-- Called by: count_missed, expired, src/log/read/list-instances.ts.
-- Returns: the names of the instances; an empty array if there are none.
create or replace function listening_instances() returns text[]
language sql stable
set search_path = public, pg_temp
as $$
  select coalesce(array_agg(substr(a.application_name, length('transaction-queue-proxy listen ') + 1)), '{}')
  from pg_stat_activity a
  where a.datname = current_database() and a.application_name like 'transaction-queue-proxy listen %'
$$;
