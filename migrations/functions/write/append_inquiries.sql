-- Records that the processor is about to be asked about messages in doubt. They are due again when the lease ends, so nobody else asks
-- meanwhile; an instance that is gone by then leaves nothing behind.
--
-- Called by: claim. The caller holds the locks on their rows.
-- Returns: one row for each, as claim does.
create or replace function append_inquiries(in_states message_states[], in_actor text, in_at timestamptz, in_lease_ms bigint)
returns table (kind text, message_id bigint, attempt int, retry_count int, transaction_id text, payload bytea, traceparent text,
  age_ms double precision, lease_ends_at bigint)
language plpgsql volatile
set search_path = public, pg_temp
set jit = off
as $$
#variable_conflict use_column
begin
  insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at)
    select s.message_id, s.version + 1, greatest((select current_position()), s.position), greatest(in_at, s.recorded_at), 'inquiry_started',
      in_actor, s.status, s.retry_count, greatest(in_at, s.recorded_at) + in_lease_ms * interval '1 millisecond'
    from unnest(in_states) s
    order by s.message_id;
  perform refuse_unprojected();
  return query
    select 'inquiry', s.message_id, s.attempts, s.retry_count, s.transaction_id::text, null::bytea, null::text, null::double precision,
      lease_micros(greatest(in_at, s.recorded_at) + in_lease_ms * interval '1 millisecond')
    from unnest(in_states) s
    order by s.due_at, s.message_id;
end
$$;
