-- Makes dead letters of messages that may have been carried out, and whose keys the processor may forget before an attempt of them ends.
--
-- Called by: claim, end_forgotten. The caller holds the locks on their rows.
-- Returns: one row for each, as claim does.
create or replace function append_forgotten(in_states message_states[], in_actor text, in_at timestamptz)
returns table (kind text, message_id bigint, attempt int, retry_count int, transaction_id text, payload bytea, traceparent text,
  age_ms double precision, lease_ends_at bigint)
language plpgsql volatile
set search_path = public, pg_temp
set jit = off
as $$
#variable_conflict use_column
begin
  insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, reason)
    select s.message_id, s.version + 1, greatest((select current_position()), s.position), greatest(in_at, s.recorded_at), 'dead_lettered',
      in_actor, 'dead_letter', s.retry_count, 'outcome unknown, and the processor may have forgotten its key'
    from unnest(in_states) s
    order by s.message_id;
  perform refuse_unprojected();
  return query
    select 'forgotten', s.message_id, s.attempts, s.retry_count, s.transaction_id::text, null::bytea, null::text, null::double precision, null::bigint
    from unnest(in_states) s
    order by s.due_at, s.message_id;
end
$$;
