-- Accounts for another Kafka record of an archived message. Its log takes no more events. So a duplicate (the same bytes) becomes a row
-- of `archived_duplicates`; like every duplicate it adds no message and is not sent. A conflict needs no row: the conflicting record
-- is a message of its own that names the archived one.
--
-- Called by: append_record_event, with its own arguments. Key and headers are not kept: the message may have been expunged
-- before it was archived.
-- Returns: nothing.
-- Refuses, with the SQLSTATE P0002 (no_data_found): a message that is neither in the log nor archived.
create or replace function keep_archived_duplicate(
  in_message_id bigint,
  in_actor text,
  in_topic text,
  in_partition int,
  in_incarnation int,
  in_offset bigint,
  in_hash bytea,
  in_conflicting_id bigint,
  in_timestamp_ms bigint,
  in_payload_bytes int
) returns void
language plpgsql volatile
set search_path = public, pg_temp
as $$
declare
  written_at timestamptz := clock_timestamp();
begin
  if not exists (
    select from segment_archives a where in_message_id >= a.first_message_id and in_message_id < a.next_message_id
  ) then
    raise exception 'message % has no state and is not archived', in_message_id using errcode = 'no_data_found';
  end if;
  if in_conflicting_id is not null then
    return;
  end if;
  insert into archived_duplicates (topic, partition, incarnation, kafka_offset, message_id, recorded_at, timestamp_ms,
      payload_bytes, payload_sha256, actor)
    values (in_topic, in_partition, in_incarnation, in_offset, in_message_id, written_at, in_timestamp_ms, in_payload_bytes,
      in_hash, in_actor);
  -- It is counted as the trigger `project` counts a duplicate that is an event.
  insert into status_count_deltas (position, pending, processing, success, failed, dead_letter, minutes, measures, buckets,
      counts)
    values (current_position(), 0, 0, 0, 0, 0, array[date_bin('1 minute', written_at, 'epoch')], array['duplicates'], array[0],
      array[1]);
end
$$;
