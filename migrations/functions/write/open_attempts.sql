-- Lists the attempts that a lane holds according to the log, with all that is needed to send them. A lane asks after a COMMIT
-- whose answer was lost. The function reads the messages of all
-- statements by which the lane started attempts within one lease.
--
-- Attempts from before the last change of the server are left out, and end with their leases: the lane may have sent them and
-- stored an outcome that the change has lost.
--
-- Called by: src/log/write/find-open-attempts.ts.
-- Returns: one row for each attempt. `age_ms` counts from when the message was received, `started_ms_ago` from the attempt's
-- start.
create or replace function open_attempts(in_actor text)
returns table (message_id bigint, attempt int, retry_count int, transaction_id text, payload bytea, traceparent text,
  age_ms double precision, lease_ends_at bigint, started_ms_ago double precision)
language plpgsql volatile security definer
set search_path = public, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
  looked_at timestamptz := clock_timestamp();
begin
  return query
  select s.message_id, s.attempts, s.retry_count, s.transaction_id::text, r.payload, r.traceparent,
    (extract(epoch from looked_at - s.created_at) * 1000)::double precision, lease_micros(s.lease_ends_at),
    (extract(epoch from looked_at - e.recorded_at) * 1000)::double precision
  from processing_messages(in_actor) as started(message_id)
  join message_states s on s.message_id = started.message_id
  join records r on r.message_id = s.message_id and r.version = 1
  cross join lateral (
    select b.recorded_at from message_events b
    where b.message_id = s.message_id and b.type = 'attempt_started' order by b.version desc limit 1
  ) e
  where s.status = 'processing' and s.claimed_by = in_actor
    and e.recorded_at > coalesce((select max(c.recorded_at) from server_changes c where c.from_timeline is not null), '-infinity')
  order by s.message_id;
end
$$;
