-- Records another Kafka record of a known identity: a duplicate (the same bytes), or a conflict (other bytes). The message
-- `in_message_id` keeps its status.
--
-- Called by: ingest. For a conflict, `in_conflicting_id` is the message that the conflicting record became; it is null for a
-- duplicate.
-- Returns: nothing.
create or replace function append_record_event(
  in_message_id bigint,
  in_actor text,
  in_topic text,
  in_partition int,
  in_incarnation int,
  in_offset bigint,
  in_hash bytea,
  in_conflicting_id bigint,
  in_key bytea,
  in_headers text,
  in_traceparent text,
  in_timestamp_ms bigint,
  in_payload_bytes int
) returns void
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
  held message_states;
begin
  select * into strict held from message_states where message_id = in_message_id for no key update;
  if in_conflicting_id is null then
    insert into records (message_id, version, key, headers, traceparent, timestamp_ms, payload_state, payload_bytes, is_json)
      values (in_message_id, held.version + 1, in_key, in_headers::json, in_traceparent, in_timestamp_ms, 'same',
        in_payload_bytes, false);
  end if;
  insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, reason,
      topic, partition, kafka_offset, incarnation, payload_sha256, related_message_id)
    values (in_message_id, held.version + 1, greatest(current_position(), held.position),
      greatest(clock_timestamp(), held.recorded_at),
      case when in_conflicting_id is null then 'duplicate_received' else 'conflict_received' end,
      in_actor, held.status, held.retry_count, held.due_at,
      case when in_conflicting_id is not null then 'a record with the same transaction id and other bytes was not sent' end,
      in_topic, in_partition, in_offset, in_incarnation, in_hash, in_conflicting_id);
end
$$;
