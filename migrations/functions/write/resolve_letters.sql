-- Resolves dead letters of a job, each by one event.
--
-- Called by: work_ids, which keeps the messages locked and has made sure that each is an open dead letter.
-- Returns: nothing.
create or replace function resolve_letters(in_message_ids bigint[], in_resolution text, in_actor text, in_reason text, in_request_key text)
returns void
language plpgsql volatile
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
  insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, reason, request_key,
      resolution)
    select m.message_id, m.version + 1, greatest((select current_position()), m.position), greatest(clock_timestamp(), m.recorded_at),
      'resolved', in_actor, 'dead_letter', m.retry_count, in_reason, in_request_key, in_resolution
    from unnest(in_message_ids) as i (message_id)
    cross join lateral (select s.* from message_states s where s.message_id = i.message_id limit 1) m
    order by m.message_id;
  perform refuse_unprojected();
end
$$;
