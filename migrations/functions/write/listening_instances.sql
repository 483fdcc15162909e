-- The instances whose LISTEN session is on this server now: they run, unless they are frozen. One that has crashed has none. A
-- session's name may be read by everybody.
create or replace function listening_instances() returns text[]
language sql volatile
set search_path = public, pg_temp
as $$
  select coalesce(array_agg(substr(a.application_name, length('transaction-queue-proxy listen ') + 1)), '{}')
  from pg_stat_activity a
  where a.datname = current_database() and a.application_name like 'transaction-queue-proxy listen %'
$$;
