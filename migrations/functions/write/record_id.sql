-- Makes the transaction id of a message that stands for its Kafka record only: a rejected or a conflicting one. The incarnation
-- is part of it from the second one on. No name of a topic has a colon.
--
-- Called by: ingest. src/ingest/read-identity.ts makes the same id for rejected records.
-- Returns: `record:topic:partition:offset`, or `record:topic:partition:offset:incarnation`.
create or replace function record_id(in_topic text, in_partition int, in_incarnation int, in_offset bigint) returns text
language sql stable
as $$
  select concat_ws(':', 'record', in_topic, in_partition, in_offset, nullif(in_incarnation, 1))
$$;
