-- Reads of claimed messages what only traces say: their records' traceparent, and their headers where `tracestate` is among them and they
-- are at most `in_headers_max` characters, and by which request a message was last replayed.
--
-- A lane waits for it. The plan is kept, and may be of a time when the log was small: so no table is scanned.
--
-- Called by: src/log/read/find-origins.ts.
-- Returns: a row for each message whose record is in the database.
create or replace function find_origins(in_message_ids bigint[], in_headers_max int)
returns table (message_id bigint, traceparent text, headers text, request_key text, is_replayed boolean)
language plpgsql stable
set search_path = public, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
begin
  return query
  select r.message_id, r.traceparent, r.headers, e.request_key, e.version is not null
  from unnest(in_message_ids) as m(message_id)
  cross join lateral (
    select p.message_id, p.traceparent,
      case when p.traceparent is not null and length(p.headers::text) <= in_headers_max and p.headers::text like '%"tracestate"%'
        then p.headers::text end as headers
    from records p where p.message_id = m.message_id and p.version = 1 limit 1
  ) r
  left join lateral (
    select v.version, v.request_key from message_events v
    where v.message_id = m.message_id and v.type = 'replayed' order by v.version desc limit 1
  ) e on true;
end
$$;
