-- What a failover with loss, or a restore, does to a log that services are at work on: it is noticed, written down, and what they
-- know of the lost part is kept.

-- Each change of the server below the log, as somebody noticed it: another system identifier or timeline, or a log that ends below
-- what was seen in it. The first row says where the log began and is no change.
create table server_changes (
  -- The epoch that began with it: no position of the lost part is given out again.
  epoch int primary key,
  recorded_at timestamptz not null default clock_timestamp(),
  -- The instance that noticed it.
  actor text not null check (actor <> ''),
  system_identifier text not null,
  timeline int not null,
  -- The last event's position.
  position bigint not null,
  -- Where it was before; null in the first row. The position is the highest that this instance had seen, and null if it saw none.
  from_system_identifier text,
  from_timeline int,
  from_position bigint,
  -- What was committed after this may be missing.
  lost_after timestamptz
);

-- Outcomes of attempts that the log does not know, because a failover took them out of it, and whose payment it does not know
-- either, until Kafka hands it over again. A waiting room: what can be placed moves into the log (place_strays).
create table stray_outcomes (
  actor text not null check (actor <> ''),
  transaction_id text collate "C" not null,
  payload_sha256 bytea not null,
  attempt int not null,
  lease_ends_at timestamptz not null,
  outcome text not null check (outcome in ('accepted', 'refused', 'unavailable', 'not_sent', 'unknown')),
  status_code int,
  duration_ms int,
  reason text,
  recorded_at timestamptz not null default clock_timestamp(),
  primary key (transaction_id, attempt, lease_ends_at, actor)
);
