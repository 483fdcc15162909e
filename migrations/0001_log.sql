-- The ground state: what happened, appended once and never changed. Everything below "Derived" can be rebuilt from it.

-- One logical clock for the whole log. A position is a transaction's xid plus the base of the epoch it was written in, so
-- that positions go on rising after a restore into a younger cluster, whose xids start again.
create table log_epochs (
  epoch int primary key,
  base bigint not null,
  recorded_at timestamptz not null default clock_timestamp(),
  actor text not null,
  reason text not null
);
insert into log_epochs (epoch, base, actor, reason) values (1, 0, 'migration', 'the first epoch');

create sequence message_ids;

-- The log lives in segments. A segment is one range of message ids, and has one partition of each of the three tables below that
-- are partitioned by message id: message_events, records and message_states. The function make_segments makes them ahead of need.
create table log_segments (
  segment int primary key,
  first_message_id bigint not null,
  next_message_id bigint not null check (next_message_id > first_message_id),
  made_at timestamptz not null default clock_timestamp()
);

-- Columns of eight bytes come first, then those of four, then texts: so a row has no padding.
create table message_events (
  message_id bigint not null,
  position bigint not null,
  recorded_at timestamptz not null,
  due_at timestamptz,
  kafka_offset bigint,
  -- On both sides of a conflict: the other message.
  related_message_id bigint,
  version int not null,
  retry_count int not null,
  -- The attempt this event starts, ends or reports on.
  attempt int,
  status_code int,
  duration_ms int,
  -- The Kafka record this event accounts for: topic, partition, kafka_offset, incarnation and payload_sha256.
  partition int,
  incarnation int,
  type text not null,
  -- The message after this event.
  status text not null,
  actor text not null check (actor <> ''),
  outcome text check (outcome in ('accepted', 'refused', 'unavailable', 'not_sent', 'unknown')),
  reason text,
  topic text,
  -- The identity, on version 1 only.
  transaction_id text collate "C",
  -- The request that an accepted replay answered, as its caller named it.
  request_key text,
  payload_sha256 bytea,
  primary key (message_id, version)
) partition by range (message_id);
-- Another record of a known identity, found by its record. Such events are few; the others pay for looking at their type.
create index message_events_duplicate on message_events (topic, partition, kafka_offset) where type = 'duplicate_received';

-- Dedupe for ever: the one index with random keys. It keeps the hash, so that it needs nothing of a message whose log was
-- detached by age.
create table inbox (
  transaction_id text collate "C" primary key,
  message_id bigint not null,
  payload_sha256 bytea not null
);

-- What Kafka handed over, byte for byte, beside the event that accounts for it. A duplicate's bytes are its message's and are not
-- kept twice (payload_state `same`). Once the log has the event `expunged` of a message, all records of it are without key, headers,
-- traceparent and bytes (`expunged`). The log keeps their hash, and payload_bytes their size. No other change is possible: see the
-- trigger expunge_only.
create table records (
  message_id bigint not null,
  version int not null,
  key bytea,
  headers json,
  traceparent text,
  timestamp_ms bigint,
  payload bytea,
  payload_state text not null check (payload_state in ('whole', 'cut', 'absent', 'same', 'expunged')),
  payload_bytes int not null,
  is_json boolean not null,
  primary key (message_id, version)
) partition by range (message_id);

-- The row is static and only ever locked: it is what makes two instances take turns on a partition. A topic that is deleted and
-- created again begins its offsets anew: that is the partition's next incarnation, a row of its own with advances, holes and
-- decisions of its own. The highest one is read.
create table partitions (
  partition_id int generated always as identity primary key,
  topic text not null,
  partition int not null,
  incarnation int not null default 1,
  -- Where it begins; null where that was left to the group's committed offset.
  begins_at bigint,
  unique (topic, partition, incarnation)
);

-- One row a slice. Appended and not updated: under an old snapshot an updated row gets dearer with every update (94 → 253 µs
-- measured), an inserted one stays flat. The highest next_offset is where the partition stands.
create table partition_advances (
  partition_id int not null references partitions,
  first_offset bigint not null,
  next_offset bigint not null check (next_offset > first_offset),
  received int not null,
  duplicates int not null,
  conflicts int not null,
  rejected int not null,
  holes bigint not null,
  -- Offsets that an operator gave up, by a decision that says which and why.
  gaps bigint not null default 0,
  -- Between them lie the messages that the slice's records were first stored as; null where it had none. They lead from a
  -- record to its event without an index that every event would pay for.
  first_message_id bigint,
  last_message_id bigint,
  recorded_at timestamptz not null,
  actor text not null,
  primary key (partition_id, next_offset)
);
-- The messages of a slice were created when it was recorded. So this leads from a time to message ids, without an index that every
-- message would pay for (created_between).
create index partition_advances_recorded on partition_advances (recorded_at);

-- Offsets that Kafka never handed over: control batches and compaction.
create table partition_holes (
  partition_id int not null references partitions,
  first_offset bigint not null,
  next_offset bigint not null check (next_offset > first_offset),
  recorded_at timestamptz not null,
  actor text not null,
  primary key (partition_id, first_offset)
);

-- A partition is stopped when its latest row says so; the other types are an operator's word on it: `resumed` where it stands,
-- `gap_accepted` without what lies between the two offsets, or ended, because a new incarnation has begun.
create table partition_decisions (
  partition_id int not null references partitions,
  decision int not null,
  type text not null check (type in ('stopped', 'resumed', 'gap_accepted', 'incarnation_begun')),
  -- Where the partition stood.
  next_offset bigint,
  -- Where it goes on: for a stop, if what stopped it is given up, as far as that was known; for a new incarnation, its first.
  resume_offset bigint,
  recorded_at timestamptz not null,
  actor text not null,
  reason text not null,
  primary key (partition_id, decision)
);

-- Who wrote the log and under which settings: the checker holds each instance to its own. `fresh_max` and `retry_max` are the most
-- attempts that a lane may have open, those that it claimed ahead of its requests among them.
create table instances (
  instance text primary key,
  started_at timestamptz not null default clock_timestamp(),
  release text not null,
  fresh_max int not null,
  retry_max int not null,
  lease_ms bigint not null,
  timeout_ms bigint not null,
  retries_max int not null,
  base_delay_ms bigint not null,
  max_delay_ms bigint not null
);

-- The one place that says what may follow what. 'none' is a message that does not exist yet.
create table legal_transitions (
  from_status text not null,
  type text not null,
  to_status text not null,
  primary key (from_status, type, to_status)
);
insert into legal_transitions (from_status, type, to_status) values
  ('none', 'received', 'pending'),
  ('none', 'rejected', 'dead_letter'),
  ('none', 'conflict_received', 'dead_letter'),
  ('pending', 'attempt_started', 'processing'),
  ('failed', 'attempt_started', 'processing'),
  ('processing', 'succeeded', 'success'),
  ('processing', 'attempt_failed', 'failed'),
  ('processing', 'attempt_abandoned', 'failed'),
  ('failed', 'dead_lettered', 'dead_letter'),
  ('dead_letter', 'replayed', 'pending'),
  -- Never while an attempt is open or may follow: it needs the bytes.
  ('success', 'expunged', 'success'),
  ('dead_letter', 'expunged', 'dead_letter');
-- Another record of a known identity, or an answer that came too late, changes no status…
insert into legal_transitions (from_status, type, to_status)
  select status, type, status
  from unnest(array['pending', 'processing', 'success', 'failed', 'dead_letter']) as status
  cross join unnest(array['duplicate_received', 'conflict_received', 'late_result_observed']) as type;
-- …unless the answer is that the processor accepted. An attempt open meanwhile is abandoned first, hence not from processing.
insert into legal_transitions (from_status, type, to_status)
  select status, 'late_result_observed', 'success' from unnest(array['pending', 'failed', 'dead_letter']) as status;

-- Derived from here on.

-- The projection, written by the log's trigger. What changes stands side by side, between what does not: an update then writes less
-- to the WAL.
create table message_states (
  message_id bigint primary key,
  created_at timestamptz not null,
  position bigint not null,
  updated_at timestamptz not null,
  recorded_at timestamptz not null,
  -- While the message waits for an attempt: when it is due.
  due_at timestamptz,
  -- While an attempt is open.
  lease_ends_at timestamptz,
  version int not null,
  retry_count int not null,
  attempts int not null,
  outcome_unknown boolean not null,
  status text not null,
  -- The instance and lane that hold the open attempt.
  claimed_by text,
  error_message text,
  -- The status of a message that waits: pending for its first attempt, failed for a retry, dead_letter for an operator. The indexes
  -- are on this column and not on the status: so a message that succeeds at once never changes an indexed column, and its update
  -- writes no index entry (HOT).
  queue text,
  transaction_id text collate "C" not null
) partition by range (message_id);
create index message_states_due on message_states (queue, due_at, message_id) where due_at is not null;
-- What an operator looks for is a small part of all.
create index message_states_dead_letter on message_states (message_id) where queue = 'dead_letter';
create index message_states_failed on message_states (message_id) where queue = 'failed';
create index message_states_unknown on message_states (message_id) where outcome_unknown;

-- The order of the log, one row for each position in each statement: which messages have an event there. An index on
-- message_events would cost each event an entry of its own.
create table event_positions (
  position bigint not null,
  message_ids bigint[] not null
);
create index event_positions_position on event_positions (position);

-- Each statement that started attempts is looked at once, when the last of their leases has ended, and its row is deleted then
-- (note_overdue). An index on the leases of open attempts would cost each message two entries.
create table lease_checks (
  lease_ends_at timestamptz not null,
  position bigint not null,
  actor text not null
);
create index lease_checks_end on lease_checks (lease_ends_at);

-- Attempts that were still open when their lease had ended: those of an instance that is gone, or that cannot store their outcomes. A row
-- whose attempt has ended is deleted by the next look (note_overdue).
create table overdue_attempts (
  message_id bigint not null,
  lease_ends_at timestamptz not null,
  primary key (message_id, lease_ends_at)
);

-- What each statement changed in the counts by status and in the rollups, one row a statement; a fold sums what lies below the
-- watermark from time to time. The four arrays are the statement's rollup rows side by side: as rows of their own they would
-- cost each message several times the WAL.
create table status_count_deltas (
  position bigint not null,
  pending int not null,
  processing int not null,
  success int not null,
  failed int not null,
  dead_letter int not null,
  minutes timestamptz[],
  measures text[] collate "C",
  buckets int[],
  counts bigint[]
);
create index status_count_deltas_position on status_count_deltas (position);
create table status_count_folds (
  bound bigint primary key,
  pending bigint not null,
  processing bigint not null,
  success bigint not null,
  failed bigint not null,
  dead_letter bigint not null
);
insert into status_count_folds values (0, 0, 0, 0, 0, 0);

-- How much of each measure there was in each minute (UTC, by recorded_at). A measure is one of
--   received, attempts, succeeded, dead_lettered, replayed, abandoned, duplicates, conflicts, rejected: what events came to;
--   refused, unavailable, not_sent, unknown: failed attempts, by outcome;
--   end_to_end, attempt: durations, by latency_bucket (received to success, once a message; an answered attempt);
--   end_to_end_max, attempt_max: the longest of the minute in microseconds, which folding does not add up;
--   retries: messages by retry_count, which is the bucket; unknown_open, unknown_success, unknown_dead_letter: messages with an
--   unknown outcome by where they are. These four say how many there are now, and have the minute -infinity.
-- Every other measure has the bucket 0. Below the bounds in `rollup_bounds` a row is of a whole hour or day, and `minute` is where
-- that begins.
create table rollups (
  minute timestamptz not null,
  measure text collate "C" not null,
  bucket int not null,
  n bigint not null,
  primary key (minute, measure, bucket)
) with (fillfactor = 70);

-- Why attempts failed and records were rejected, by minute and failure_pattern; with up to three of the messages, those of the
-- highest ids. Deltas as above, but only of statements in which something failed.
create table failure_deltas (
  position bigint not null,
  minute timestamptz not null,
  pattern text collate "C" not null,
  n bigint not null,
  last_at timestamptz not null,
  examples bigint[] not null
);
create index failure_deltas_position on failure_deltas (position);
create table failure_rollups (
  minute timestamptz not null,
  pattern text collate "C" not null,
  n bigint not null,
  last_at timestamptz not null,
  examples bigint[] not null,
  primary key (minute, pattern)
) with (fillfactor = 70);

-- How old rollups are kept: below `days_below` `rollups` and `failure_rollups` have a row for each day (UTC), from there to below
-- `hours_below` for each hour, above it for each minute. One row. Both only grow, in the transaction that folds the rows.
create table rollup_bounds (
  only_row boolean primary key default true check (only_row),
  hours_below timestamptz not null,
  days_below timestamptz not null check (days_below <= hours_below)
);
insert into rollup_bounds (hours_below, days_below) values ('-infinity', '-infinity');

-- What a partition's advances up to next_offset come to, so that nobody sums up all of them each second. A partition's advances
-- are committed one after another: none is added below the highest one.
create table partition_folds (
  partition_id int primary key references partitions,
  first_offset bigint not null,
  next_offset bigint not null,
  received bigint not null,
  duplicates bigint not null,
  conflicts bigint not null,
  rejected bigint not null,
  holes bigint not null,
  gaps bigint not null
) with (fillfactor = 70);

-- What an operator reads: the founding eight columns, and four beside them.
create view messages as
  select
    s.transaction_id,
    case when r.is_json and r.payload_state = 'whole' then convert_from(r.payload, 'UTF8')::json end as payload,
    s.status,
    s.retry_count,
    s.error_message,
    case when s.status = 'failed' then s.due_at end as next_retry_at,
    s.created_at,
    s.updated_at,
    s.message_id,
    s.version,
    s.attempts,
    s.outcome_unknown
  from message_states s
  left join records r on r.message_id = s.message_id and r.version = 1;

-- How far RETAIN_PAYLOAD has walked the log: up to this event. `held_back` are messages that it came to while another session held
-- them; it comes back to them each time. If this row is lost, the walk begins anew and finds again what is left to do.
create table payload_retention (
  is_only boolean primary key default true check (is_only),
  position bigint not null,
  message_id bigint not null,
  version int not null,
  held_back bigint[] not null
) with (fillfactor = 50);
insert into payload_retention (position, message_id, version, held_back) values (0, 0, 0, '{}');

create view stopped_partitions as
  select p.partition_id, p.topic, p.partition, d.reason, d.recorded_at as since
  from partitions p
  cross join lateral (
    select type, reason, recorded_at from partition_decisions
    where partition_id = p.partition_id order by decision desc limit 1
  ) d
  where d.type = 'stopped';
