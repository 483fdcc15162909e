-- Records who came to the data. `in_accesses` is an array of objects that have the columns of `accesses` as their keys; what is left out is
-- null, `amount` 1 and `details` empty. The time and the database's user are not for the caller to say.
--
-- Called by: src/log/write/record-accesses.ts.
-- Returns: the number of the last row; null for an empty array.
create or replace function record_accesses(in_accesses jsonb) returns bigint
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
declare
  last bigint;
begin
  with recorded as (
    insert into accesses (kind, actor, role, address, instance, name, amount, transaction_ids, started, details)
      select a.kind, a.actor, a.role, a.address, a.instance, a.name, coalesce(a.amount, 1), a.transaction_ids, a.started,
        coalesce(a.details, '{}')
      from jsonb_to_recordset(in_accesses) as a (kind text, actor text, role text, address text, instance text, name text,
        amount bigint, transaction_ids text[], started bigint, details jsonb)
      returning access
  )
  select max(r.access) into last from recorded r;
  return last;
end
$$;
