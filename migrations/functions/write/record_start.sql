-- Records the settings of a start of the service, as names and hashes, and which of them differ from those of the last start. Recording the
-- same instance again changes nothing (its COMMIT's answer may have been lost).
--
-- Called by: src/log/write/record-accesses.ts, after register_instance. `in_settings` is an object of hashes by the name of the setting;
-- the hashes of secrets are made with `in_salt`, which is that of the last start (see start_salt).
-- Returns: the names of the settings that were changed, added or left out; null if there was no start before.
create or replace function record_start(in_instance text, in_release text, in_salt text, in_settings jsonb) returns text[]
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
declare
  before jsonb;
  changed text[];
begin
  -- One start at a time, so that each is compared with the one before it.
  perform pg_advisory_xact_lock(7233841904);
  select a.details into before
    from accesses a
    where a.kind = 'service_started' and a.instance is distinct from in_instance
    order by a.access desc
    limit 1;
  if before is not null then
    changed := array(
      select coalesce(b.key, n.key)
      from jsonb_each_text(before -> 'settings') b
      full join jsonb_each_text(in_settings) n on n.key = b.key
      where b.value is distinct from n.value
      order by 1);
  end if;
  if not exists (select from accesses a where a.kind = 'service_started' and a.instance = in_instance) then
    insert into accesses (kind, instance, name, details)
      values ('service_started', in_instance, 'start', jsonb_build_object('release', in_release, 'salt', in_salt, 'settings', in_settings,
        'changed', to_jsonb(changed)));
  end if;
  return changed;
end
$$;
