-- Adds to the inbox what is missing there of the next `in_rows_max` messages above `in_above`, from their version 1. It names
-- what the inbox says differently from the log. That cannot be repaired: an identity would have two messages.
--
-- It runs in a transaction of its own and inserts in byte order, because here and in `ingest` an identity is inserted before
-- any message is locked.
--
-- Called by: src/log/write/rebuild.ts (`npm run rebuild`).
-- Returns: one row for each difference, `was` null for an entry that was missing. Then one row with a null message_id:
-- `reached` is the last message that was looked at, null at the end.
create or replace function rebuild_inbox(in_above bigint, in_rows_max int)
returns table (message_id bigint, transaction_id text, was text, became text, reached bigint)
language plpgsql volatile security definer
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
as $$
#variable_conflict use_column
begin
  return query
  with first as materialized (
    select e.message_id, e.transaction_id, e.payload_sha256
    from message_events e where e.message_id > in_above and e.version = 1 order by e.message_id limit in_rows_max
  ),
  different as materialized (
    select f.message_id, f.transaction_id, f.payload_sha256, i.message_id as known, i.payload_sha256 as known_sha256
    from first f
    left join inbox i on i.transaction_id = f.transaction_id
    where (i.message_id, i.payload_sha256) is distinct from (f.message_id, f.payload_sha256)
  ),
  stored as (
    insert into inbox (transaction_id, message_id, payload_sha256)
    select d.transaction_id, d.message_id, d.payload_sha256 from different d where d.known is null
    order by d.transaction_id
    on conflict do nothing
  )
  select d.message_id, d.transaction_id::text, d.known || ' ' || encode(d.known_sha256, 'hex'),
    d.message_id || ' ' || encode(d.payload_sha256, 'hex'), null::bigint
  from different d
  union all
  select null, null, null, null, (select max(f.message_id) from first f);
end
$$;
