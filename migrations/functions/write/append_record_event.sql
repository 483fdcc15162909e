-- Records another Kafka record of a known identity: a duplicate (the same bytes), or a conflict (other bytes). The message
-- `in_message_id` keeps its status. A duplicate of an expunged message brings nothing back: its record is expunged from the start.
-- If that message is archived, its log takes no more events, and the record is accounted for
-- beside it (keep_archived_duplicate).
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
  is_expunged boolean;
begin
  select * into held from message_states where message_id = in_message_id for no key update;
  if not found then
    perform keep_archived_duplicate(in_message_id, in_actor, in_topic, in_partition, in_incarnation, in_offset, in_hash,
      in_conflicting_id, in_timestamp_ms, in_payload_bytes);
    return;
  end if;
  if in_conflicting_id is null then
    is_expunged := held.status in ('success', 'dead_letter')
      and exists (select from message_events e where e.message_id = in_message_id and e.type = 'expunged');
    insert into records (message_id, version, key, headers, traceparent, timestamp_ms, payload_state, payload_bytes, is_json)
      values (in_message_id, held.version + 1, case when not is_expunged then in_key end,
        case when not is_expunged then in_headers::json end, case when not is_expunged then in_traceparent end, in_timestamp_ms,
        case when is_expunged then 'expunged' else 'same' end, in_payload_bytes, false);
  end if;
  insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, reason,
      topic, partition, kafka_offset, incarnation, payload_sha256, related_message_id)
    values (in_message_id, held.version + 1, greatest(current_position(), held.position),
      greatest(clock_timestamp(), held.recorded_at),
      case when in_conflicting_id is null then 'duplicate_received' else 'conflict_received' end,
      in_actor, held.status, held.retry_count, coalesce(held.due_at, held.lease_ends_at),
      case when in_conflicting_id is not null then 'a record with the same transaction id and other bytes was not sent' end,
      in_topic, in_partition, in_offset, in_incarnation, in_hash, in_conflicting_id);
end
$$;
