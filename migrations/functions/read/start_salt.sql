-- The salt of the last start's hashes, so that the next start can make hashes that compare.
--
-- Called by: src/log/write/record-accesses.ts.
-- Returns: the salt; null if no start was recorded.
create or replace function start_salt() returns text
language sql stable
as $$
  select a.details ->> 'salt' from accesses a where a.kind = 'service_started' order by a.access desc limit 1
$$;
