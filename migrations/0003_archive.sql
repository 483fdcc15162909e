-- What stays of a segment that was archived.

-- Segments that are not in the database any more: their events and records are in an archive, and they were detached and dropped in
-- the transaction that wrote this row. What they came to stays here, so that counts and rollups can be computed again from what is
-- left in the log.
create table segment_archives (
  segment int primary key,
  first_message_id bigint not null,
  next_message_id bigint not null check (next_message_id > first_message_id),
  -- The folder of the archive, and the SHA-256 of its manifest.
  name text not null,
  manifest_sha256 bytea not null,
  messages bigint not null,
  events bigint not null,
  success bigint not null,
  dead_letter bigint not null,
  -- The records that its events account for, as in partition_advances.
  received bigint not null,
  duplicates bigint not null,
  conflicts bigint not null,
  rejected bigint not null,
  -- All four are null if the segment had no events.
  lowest_position bigint,
  highest_position bigint,
  first_recorded_at timestamptz,
  last_recorded_at timestamptz,
  archived_at timestamptz not null default clock_timestamp(),
  actor text not null check (actor <> ''),
  reason text not null check (reason <> '')
);
-- What an archived segment gave to the rollups, and to the rollups of failures.
create table archived_rollups (
  segment int not null,
  minute timestamptz not null,
  measure text collate "C" not null,
  bucket int not null,
  n bigint not null,
  primary key (segment, minute, measure, bucket)
);
create table archived_failures (
  segment int not null,
  minute timestamptz not null,
  pattern text collate "C" not null,
  n bigint not null,
  last_at timestamptz not null,
  examples bigint[] not null,
  primary key (segment, minute, pattern)
);
-- A record that came again after its message was archived. The message's log takes no more events, so the record is accounted for
-- here. It is not sent. Its key and headers are not kept: the message may have been expunged before it was archived.
create table archived_duplicates (
  topic text not null,
  partition int not null,
  incarnation int not null,
  kafka_offset bigint not null,
  message_id bigint not null,
  recorded_at timestamptz not null,
  timestamp_ms bigint,
  payload_bytes int not null,
  payload_sha256 bytea not null,
  actor text not null check (actor <> ''),
  primary key (topic, partition, incarnation, kafka_offset)
);
