-- Printed from a freshly migrated database by `npm run schema`; do not edit. The sources are in migrations/.

create table accesses (
  access bigint not null generated always as identity,
  recorded_at timestamp with time zone not null default clock_timestamp(),
  kind text not null,
  actor text,
  role text,
  address text,
  instance text,
  database_user text not null default SESSION_USER,
  name text,
  amount bigint not null default 1,
  transaction_ids text[] collate "C",
  started bigint,
  details jsonb not null default '{}'::jsonb,
  constraint accesses_actor_check CHECK (((actor <> ''::text) AND (octet_length(actor) <= 255))),
  constraint accesses_address_check CHECK ((octet_length(address) <= 64)),
  constraint accesses_amount_check CHECK ((amount >= 0)),
  constraint accesses_details_check CHECK (((jsonb_typeof(details) = 'object'::text) AND (octet_length((details)::text) <= 65536))),
  constraint accesses_instance_check CHECK ((octet_length(instance) <= 64)),
  constraint accesses_kind_check CHECK ((kind = ANY (ARRAY['login_refused'::text, 'payload_read'::text, 'exported'::text, 'command_started'::text, 'command_ended'::text, 'service_started'::text, 'tokens_changed'::text]))),
  constraint accesses_name_check CHECK ((octet_length(name) <= 128)),
  constraint accesses_pkey PRIMARY KEY (access),
  constraint accesses_role_check CHECK ((octet_length(role) <= 32)),
  constraint accesses_transaction_ids_check CHECK ((cardinality(transaction_ids) <= 1000))
);
CREATE INDEX accesses_kind ON public.accesses USING btree (kind, access);
CREATE INDEX accesses_transaction_ids ON public.accesses USING gin (transaction_ids) WHERE (transaction_ids IS NOT NULL);

create table archived_duplicates (
  topic text not null,
  partition integer not null,
  incarnation integer not null,
  kafka_offset bigint not null,
  message_id bigint not null,
  recorded_at timestamp with time zone not null,
  timestamp_ms bigint,
  payload_bytes integer not null,
  payload_sha256 bytea not null,
  actor text not null,
  constraint archived_duplicates_actor_check CHECK ((actor <> ''::text)),
  constraint archived_duplicates_pkey PRIMARY KEY (topic, partition, incarnation, kafka_offset)
);

create table archived_failures (
  segment integer not null,
  minute timestamp with time zone not null,
  pattern text collate "C" not null,
  n bigint not null,
  last_at timestamp with time zone not null,
  examples bigint[] not null,
  constraint archived_failures_pkey PRIMARY KEY (segment, minute, pattern)
);

create table archived_rollups (
  segment integer not null,
  minute timestamp with time zone not null,
  measure text collate "C" not null,
  bucket integer not null,
  n bigint not null,
  constraint archived_rollups_pkey PRIMARY KEY (segment, minute, measure, bucket)
);

create table decided_messages (
  message_id bigint not null,
  version integer not null,
  resolution text,
  constraint decided_messages_pkey PRIMARY KEY (message_id)
);
CREATE INDEX decided_messages_on_hold ON public.decided_messages USING btree (message_id) WHERE (resolution IS NULL);

create table destination_decisions (
  destination text collate "C" not null,
  decision integer not null,
  "position" bigint not null,
  recorded_at timestamp with time zone not null,
  state text not null,
  cause text not null,
  until timestamp with time zone,
  failures integer not null,
  refusals integer not null,
  probes integer not null,
  actor text not null,
  reason text not null,
  rate_limit double precision,
  rate_burst integer,
  constraint destination_decisions_actor_check CHECK ((actor <> ''::text)),
  constraint destination_decisions_cause_check CHECK ((cause = ANY (ARRAY['failures'::text, 'refusals'::text, 'probes'::text, 'ramped'::text, 'operator'::text, 'until'::text, 'rate'::text, 'setting'::text, 'throttled'::text, 'unthrottled'::text]))),
  constraint destination_decisions_check CHECK (((until IS NULL) OR (state = 'paused'::text))),
  constraint destination_decisions_check1 CHECK (((rate_limit IS NULL) = (rate_burst IS NULL))),
  constraint destination_decisions_pkey PRIMARY KEY (destination, decision),
  constraint destination_decisions_rate_burst_check CHECK ((rate_burst > 0)),
  constraint destination_decisions_rate_limit_check CHECK ((rate_limit > (0)::double precision)),
  constraint destination_decisions_reason_check CHECK ((reason <> ''::text)),
  constraint destination_decisions_state_check CHECK ((state = ANY (ARRAY['flowing'::text, 'held'::text, 'paused'::text, 'ramping'::text])))
);
CREATE INDEX destination_decisions_recorded ON public.destination_decisions USING btree (recorded_at);

create table destinations (
  destination text collate "C" not null,
  decision integer not null default 0,
  state text not null default 'flowing'::text,
  cause text,
  since timestamp with time zone,
  until timestamp with time zone,
  failures integer not null default 0,
  refusals integer not null default 0,
  is_answered boolean not null default false,
  last_reason text,
  probes integer not null default 0,
  next_probe_at timestamp with time zone,
  probe_delay_ms bigint,
  probe_message_id bigint,
  probe_attempt integer,
  probe_ends_at timestamp with time zone,
  state_decision integer,
  rate_limit double precision,
  rate_burst integer,
  throttled_at timestamp with time zone,
  throttled_rate double precision,
  throttled_from double precision,
  not_before timestamp with time zone,
  next_slot_at timestamp with time zone,
  last_queue text,
  slots_since timestamp with time zone,
  slots_taken integer not null default 0,
  slots_rate double precision not null default 0,
  constraint destinations_pkey PRIMARY KEY (destination)
) with (fillfactor=50);

create table event_positions (
  "position" bigint not null,
  message_ids bigint[] not null
);
CREATE INDEX event_positions_position ON public.event_positions USING btree ("position");

create table failure_deltas (
  "position" bigint not null,
  minute timestamp with time zone not null,
  pattern text collate "C" not null,
  n bigint not null,
  last_at timestamp with time zone not null,
  examples bigint[] not null
);
CREATE INDEX failure_deltas_position ON public.failure_deltas USING btree ("position");

create table failure_rollups (
  minute timestamp with time zone not null,
  pattern text collate "C" not null,
  n bigint not null,
  last_at timestamp with time zone not null,
  examples bigint[] not null,
  constraint failure_rollups_pkey PRIMARY KEY (minute, pattern)
) with (fillfactor=70);

create table inbox (
  transaction_id text collate "C" not null,
  message_id bigint not null,
  payload_sha256 bytea not null,
  constraint inbox_pkey PRIMARY KEY (transaction_id)
);

create table instances (
  instance text not null,
  started_at timestamp with time zone not null default clock_timestamp(),
  release text not null,
  fresh_max integer not null,
  retry_max integer not null,
  lease_ms bigint not null,
  timeout_ms bigint not null,
  retries_max integer not null,
  base_delay_ms bigint not null,
  max_delay_ms bigint not null,
  key_window_ms bigint,
  inquiry_gap_ms bigint,
  destination_url text,
  constraint instances_pkey PRIMARY KEY (instance)
);

create table lease_checks (
  lease_ends_at timestamp with time zone not null,
  "position" bigint not null,
  actor text not null
);
CREATE INDEX lease_checks_end ON public.lease_checks USING btree (lease_ends_at);

create table legal_transitions (
  from_status text not null,
  type text not null,
  to_status text not null,
  constraint legal_transitions_pkey PRIMARY KEY (from_status, type, to_status)
);

create table log_epochs (
  epoch integer not null,
  base bigint not null,
  recorded_at timestamp with time zone not null default clock_timestamp(),
  actor text not null,
  reason text not null,
  constraint log_epochs_pkey PRIMARY KEY (epoch)
);

create table log_segments (
  segment integer not null,
  first_message_id bigint not null,
  next_message_id bigint not null,
  made_at timestamp with time zone not null default clock_timestamp(),
  constraint log_segments_check CHECK ((next_message_id > first_message_id)),
  constraint log_segments_pkey PRIMARY KEY (segment)
);

create table message_events (
  message_id bigint not null,
  "position" bigint not null,
  recorded_at timestamp with time zone not null,
  due_at timestamp with time zone,
  kafka_offset bigint,
  related_message_id bigint,
  version integer not null,
  retry_count integer not null,
  attempt integer,
  status_code integer,
  duration_ms integer,
  partition integer,
  incarnation integer,
  type text not null,
  status text not null,
  actor text not null,
  outcome text,
  reason text,
  topic text,
  transaction_id text collate "C",
  request_key text,
  payload_sha256 bytea,
  resolution text,
  evidence text,
  confirmed_not_carried_out boolean,
  inquiry text,
  reference text collate "C",
  constraint message_events_actor_check CHECK ((actor <> ''::text)),
  constraint message_events_outcome_check CHECK ((outcome = ANY (ARRAY['accepted'::text, 'refused'::text, 'unavailable'::text, 'not_sent'::text, 'unknown'::text]))),
  constraint message_events_pkey PRIMARY KEY (message_id, version)
) partition by RANGE (message_id);
CREATE INDEX message_events_decided ON ONLY public.message_events USING btree (recorded_at) WHERE ((type = ANY (ARRAY['replayed'::text, 'held'::text, 'released'::text, 'cancelled'::text, 'resolved'::text, 'reopened'::text, 'expunged'::text])) AND ((request_key IS NULL) OR (request_key !~~ 'replay-job:%'::text)) AND (NOT ((type = 'expunged'::text) AND (reason ~~ 'RETAIN\_PAYLOAD: %'::text) AND (actor ~~ '%/retention'::text))));
CREATE INDEX message_events_decided_by ON ONLY public.message_events USING btree (actor, recorded_at) WHERE ((type = ANY (ARRAY['replayed'::text, 'held'::text, 'released'::text, 'cancelled'::text, 'resolved'::text, 'reopened'::text, 'expunged'::text])) AND ((request_key IS NULL) OR (request_key !~~ 'replay-job:%'::text)) AND (NOT ((type = 'expunged'::text) AND (reason ~~ 'RETAIN\_PAYLOAD: %'::text) AND (actor ~~ '%/retention'::text))));
CREATE INDEX message_events_duplicate ON ONLY public.message_events USING btree (topic, partition, kafka_offset) WHERE (type = 'duplicate_received'::text);
CREATE INDEX message_events_reference ON ONLY public.message_events USING btree (reference, message_id) WHERE (reference IS NOT NULL);

create table message_states (
  message_id bigint not null,
  created_at timestamp with time zone not null,
  "position" bigint not null,
  updated_at timestamp with time zone not null,
  recorded_at timestamp with time zone not null,
  due_at timestamp with time zone,
  lease_ends_at timestamp with time zone,
  version integer not null,
  retry_count integer not null,
  attempts integer not null,
  outcome_unknown boolean not null,
  status text not null,
  claimed_by text,
  error_message text,
  queue text,
  transaction_id text collate "C" not null,
  is_slow boolean not null default false,
  reference text collate "C",
  constraint message_states_pkey PRIMARY KEY (message_id)
) partition by RANGE (message_id);
CREATE INDEX message_states_dead_letter ON ONLY public.message_states USING btree (message_id) WHERE (queue = 'dead_letter'::text);
CREATE INDEX message_states_due ON ONLY public.message_states USING btree (queue, due_at, message_id) WHERE (due_at IS NOT NULL);
CREATE INDEX message_states_failed ON ONLY public.message_states USING btree (message_id) WHERE (queue = 'failed'::text);
CREATE INDEX message_states_quick ON ONLY public.message_states USING btree (due_at, message_id) WHERE ((queue = 'failed'::text) AND (NOT is_slow) AND (due_at IS NOT NULL));
CREATE INDEX message_states_slow ON ONLY public.message_states USING btree (due_at, message_id) WHERE ((queue = 'failed'::text) AND is_slow AND (due_at IS NOT NULL));
CREATE INDEX message_states_unknown ON ONLY public.message_states USING btree (message_id) WHERE outcome_unknown;

create table overdue_attempts (
  message_id bigint not null,
  lease_ends_at timestamp with time zone not null,
  constraint overdue_attempts_pkey PRIMARY KEY (message_id, lease_ends_at)
);

create table partition_advances (
  partition_id integer not null,
  first_offset bigint not null,
  next_offset bigint not null,
  received integer not null,
  duplicates integer not null,
  conflicts integer not null,
  rejected integer not null,
  holes bigint not null,
  gaps bigint not null default 0,
  first_message_id bigint,
  last_message_id bigint,
  recorded_at timestamp with time zone not null,
  actor text not null,
  constraint partition_advances_check CHECK ((next_offset > first_offset)),
  constraint partition_advances_partition_id_fkey FOREIGN KEY (partition_id) REFERENCES partitions(partition_id),
  constraint partition_advances_pkey PRIMARY KEY (partition_id, next_offset)
);
CREATE INDEX partition_advances_recorded ON public.partition_advances USING btree (recorded_at);

create table partition_decisions (
  partition_id integer not null,
  decision integer not null,
  type text not null,
  next_offset bigint,
  resume_offset bigint,
  recorded_at timestamp with time zone not null,
  actor text not null,
  reason text not null,
  constraint partition_decisions_partition_id_fkey FOREIGN KEY (partition_id) REFERENCES partitions(partition_id),
  constraint partition_decisions_pkey PRIMARY KEY (partition_id, decision),
  constraint partition_decisions_type_check CHECK ((type = ANY (ARRAY['stopped'::text, 'resumed'::text, 'gap_accepted'::text, 'incarnation_begun'::text])))
);
CREATE INDEX partition_decisions_recorded ON public.partition_decisions USING btree (recorded_at);

create table partition_folds (
  partition_id integer not null,
  first_offset bigint not null,
  next_offset bigint not null,
  received bigint not null,
  duplicates bigint not null,
  conflicts bigint not null,
  rejected bigint not null,
  holes bigint not null,
  gaps bigint not null,
  constraint partition_folds_partition_id_fkey FOREIGN KEY (partition_id) REFERENCES partitions(partition_id),
  constraint partition_folds_pkey PRIMARY KEY (partition_id)
) with (fillfactor=70);

create table partition_holes (
  partition_id integer not null,
  first_offset bigint not null,
  next_offset bigint not null,
  recorded_at timestamp with time zone not null,
  actor text not null,
  constraint partition_holes_check CHECK ((next_offset > first_offset)),
  constraint partition_holes_partition_id_fkey FOREIGN KEY (partition_id) REFERENCES partitions(partition_id),
  constraint partition_holes_pkey PRIMARY KEY (partition_id, first_offset)
);

create table partitions (
  partition_id integer not null generated always as identity,
  topic text not null,
  partition integer not null,
  incarnation integer not null default 1,
  begins_at bigint,
  constraint partitions_pkey PRIMARY KEY (partition_id),
  constraint partitions_topic_partition_incarnation_key UNIQUE (topic, partition, incarnation)
);

create table payload_retention (
  is_only boolean not null default true,
  "position" bigint not null,
  message_id bigint not null,
  version integer not null,
  held_back bigint[] not null,
  constraint payload_retention_is_only_check CHECK (is_only),
  constraint payload_retention_pkey PRIMARY KEY (is_only)
) with (fillfactor=50);

create table records (
  message_id bigint not null,
  version integer not null,
  key bytea,
  headers json,
  traceparent text,
  timestamp_ms bigint,
  payload bytea,
  payload_state text not null,
  payload_bytes integer not null,
  is_json boolean not null,
  constraint records_payload_state_check CHECK ((payload_state = ANY (ARRAY['whole'::text, 'cut'::text, 'absent'::text, 'same'::text, 'expunged'::text]))),
  constraint records_pkey PRIMARY KEY (message_id, version)
) partition by RANGE (message_id);

create table replay_job_events (
  job bigint not null,
  version integer not null,
  recorded_at timestamp with time zone not null,
  type text not null,
  actor text not null,
  reason text not null,
  per_second double precision,
  constraint replay_job_events_actor_check CHECK ((actor <> ''::text)),
  constraint replay_job_events_job_fkey FOREIGN KEY (job) REFERENCES replay_jobs(job),
  constraint replay_job_events_pkey PRIMARY KEY (job, version),
  constraint replay_job_events_reason_check CHECK ((reason <> ''::text)),
  constraint replay_job_events_type_check CHECK ((type = ANY (ARRAY['started'::text, 'paused'::text, 'resumed'::text, 'pace_changed'::text, 'stopped'::text, 'aborted'::text, 'done'::text])))
);
CREATE INDEX replay_job_events_recorded ON public.replay_job_events USING btree (recorded_at);

create table replay_job_open (
  job bigint not null,
  message_id bigint not null,
  constraint replay_job_open_pkey PRIMARY KEY (job, message_id)
);

create table replay_job_states (
  job bigint not null,
  state text not null,
  version integer not null,
  is_active boolean not null,
  per_second double precision,
  ramp_from double precision,
  running_since timestamp with time zone not null,
  next_at timestamp with time zone not null,
  is_at_replayable boolean not null default true,
  piece integer not null default 0,
  place integer not null default 0,
  replayed bigint not null default 0,
  succeeded bigint not null default 0,
  failed_again bigint not null default 0,
  skipped jsonb not null,
  recent text not null default ''::text,
  waits_for text,
  stopped_because text,
  rate double precision,
  rate_since timestamp with time zone not null,
  rate_from bigint not null default 0,
  runner text,
  runner_until timestamp with time zone,
  told_at timestamp with time zone not null,
  ended_at timestamp with time zone,
  constraint replay_job_states_job_fkey FOREIGN KEY (job) REFERENCES replay_jobs(job),
  constraint replay_job_states_pkey PRIMARY KEY (job),
  constraint replay_job_states_state_check CHECK ((state = ANY (ARRAY['running'::text, 'paused'::text, 'stopped'::text, 'aborted'::text, 'done'::text])))
) with (fillfactor=50);
CREATE INDEX replay_job_states_active ON public.replay_job_states USING btree (job) WHERE is_active;

create table replay_jobs (
  job bigint not null,
  kind text not null,
  resolution text,
  started_at timestamp with time zone not null,
  actor text not null,
  reason text not null,
  request_key text,
  per_second double precision,
  ramp_from double precision,
  stop_share double precision,
  stop_after integer,
  is_confirmed boolean not null,
  constraint replay_jobs_actor_check CHECK ((actor <> ''::text)),
  constraint replay_jobs_check CHECK (((kind = 'resolve'::text) = (resolution IS NOT NULL))),
  constraint replay_jobs_check1 CHECK (((stop_share IS NULL) = (stop_after IS NULL))),
  constraint replay_jobs_job_fkey FOREIGN KEY (job) REFERENCES replay_plans(plan),
  constraint replay_jobs_kind_check CHECK ((kind = ANY (ARRAY['replay'::text, 'resolve'::text]))),
  constraint replay_jobs_per_second_check CHECK ((per_second > (0)::double precision)),
  constraint replay_jobs_pkey PRIMARY KEY (job),
  constraint replay_jobs_ramp_from_check CHECK ((ramp_from > (0)::double precision)),
  constraint replay_jobs_reason_check CHECK ((reason <> ''::text)),
  constraint replay_jobs_stop_after_check CHECK ((stop_after > 0)),
  constraint replay_jobs_stop_share_check CHECK (((stop_share > (0)::double precision) AND (stop_share <= (1)::double precision)))
);

create table replay_plan_ids (
  plan bigint not null,
  is_replayable boolean not null,
  piece integer not null,
  message_ids bigint[] not null,
  versions integer[] not null,
  constraint replay_plan_ids_pkey PRIMARY KEY (plan, is_replayable, piece),
  constraint replay_plan_ids_plan_fkey FOREIGN KEY (plan) REFERENCES replay_plans(plan) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
);

create table replay_plans (
  plan bigint not null,
  planned_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  actor text not null,
  reason text not null,
  filter jsonb not null,
  dead_letters bigint not null,
  outcome_unknown bigint not null,
  past_key_window bigint not null,
  by_pattern jsonb not null,
  by_cause jsonb not null,
  not_replayable jsonb not null,
  constraint replay_plans_actor_check CHECK ((actor <> ''::text)),
  constraint replay_plans_pkey PRIMARY KEY (plan),
  constraint replay_plans_reason_check CHECK ((reason <> ''::text))
);

create table rollup_bounds (
  only_row boolean not null default true,
  hours_below timestamp with time zone not null,
  days_below timestamp with time zone not null,
  constraint rollup_bounds_check CHECK ((days_below <= hours_below)),
  constraint rollup_bounds_only_row_check CHECK (only_row),
  constraint rollup_bounds_pkey PRIMARY KEY (only_row)
);

create table rollups (
  minute timestamp with time zone not null,
  measure text collate "C" not null,
  bucket integer not null,
  n bigint not null,
  constraint rollups_pkey PRIMARY KEY (minute, measure, bucket)
) with (fillfactor=70);

create table schema_functions (
  name text not null,
  checksum text not null,
  applied_at timestamp with time zone not null default clock_timestamp(),
  edition integer not null default 0,
  constraint schema_functions_pkey PRIMARY KEY (name)
);

create table schema_migrations (
  name text not null,
  checksum text not null,
  applied_at timestamp with time zone not null default clock_timestamp(),
  constraint schema_migrations_pkey PRIMARY KEY (name)
);

create table segment_archives (
  segment integer not null,
  first_message_id bigint not null,
  next_message_id bigint not null,
  name text not null,
  manifest_sha256 bytea not null,
  messages bigint not null,
  events bigint not null,
  success bigint not null,
  dead_letter bigint not null,
  received bigint not null,
  duplicates bigint not null,
  conflicts bigint not null,
  rejected bigint not null,
  lowest_position bigint,
  highest_position bigint,
  first_recorded_at timestamp with time zone,
  last_recorded_at timestamp with time zone,
  archived_at timestamp with time zone not null default clock_timestamp(),
  actor text not null,
  reason text not null,
  constraint segment_archives_actor_check CHECK ((actor <> ''::text)),
  constraint segment_archives_check CHECK ((next_message_id > first_message_id)),
  constraint segment_archives_pkey PRIMARY KEY (segment),
  constraint segment_archives_reason_check CHECK ((reason <> ''::text))
);

create table server_changes (
  epoch integer not null,
  recorded_at timestamp with time zone not null default clock_timestamp(),
  actor text not null,
  system_identifier text not null,
  timeline integer not null,
  "position" bigint not null,
  from_system_identifier text,
  from_timeline integer,
  from_position bigint,
  lost_after timestamp with time zone,
  constraint server_changes_actor_check CHECK ((actor <> ''::text)),
  constraint server_changes_pkey PRIMARY KEY (epoch)
);

create table status_count_deltas (
  "position" bigint not null,
  pending integer not null,
  processing integer not null,
  success integer not null,
  failed integer not null,
  dead_letter integer not null,
  minutes timestamp with time zone[],
  measures text[] collate "C",
  buckets integer[],
  counts bigint[]
);
CREATE INDEX status_count_deltas_position ON public.status_count_deltas USING btree ("position");

create table status_count_folds (
  bound bigint not null,
  pending bigint not null,
  processing bigint not null,
  success bigint not null,
  failed bigint not null,
  dead_letter bigint not null,
  constraint status_count_folds_pkey PRIMARY KEY (bound)
);

create table stray_outcomes (
  actor text not null,
  transaction_id text collate "C" not null,
  payload_sha256 bytea not null,
  attempt integer not null,
  lease_ends_at timestamp with time zone not null,
  outcome text not null,
  status_code integer,
  duration_ms integer,
  reason text,
  recorded_at timestamp with time zone not null default clock_timestamp(),
  reference text collate "C",
  constraint stray_outcomes_actor_check CHECK ((actor <> ''::text)),
  constraint stray_outcomes_outcome_check CHECK ((outcome = ANY (ARRAY['accepted'::text, 'refused'::text, 'unavailable'::text, 'not_sent'::text, 'unknown'::text]))),
  constraint stray_outcomes_pkey PRIMARY KEY (transaction_id, attempt, lease_ends_at, actor)
);

create sequence message_ids as bigint start 1 increment 1;

create sequence replay_plan_numbers as bigint start 1 increment 1;

create view messages as
 SELECT transaction_id,
    ( SELECT convert_from(r.payload, 'UTF8'::name)::json AS convert_from
           FROM records r
          WHERE r.message_id = s.message_id AND r.version = 1 AND r.is_json AND r.payload_state = 'whole'::text) AS payload,
    status,
    retry_count,
    error_message,
        CASE
            WHEN status = 'failed'::text THEN due_at
            ELSE NULL::timestamp with time zone
        END AS next_retry_at,
    created_at,
    updated_at,
    message_id,
    version,
    attempts,
    outcome_unknown,
    due_at IS NULL AND (status = ANY (ARRAY['pending'::text, 'failed'::text])) AS on_hold,
    ( SELECT d.resolution
           FROM decided_messages d
          WHERE d.message_id = s.message_id) AS resolution,
    reference
   FROM message_states s;

create view stopped_partitions as
 SELECT p.partition_id,
    p.topic,
    p.partition,
    d.reason,
    d.recorded_at AS since
   FROM partitions p
     CROSS JOIN LATERAL ( SELECT partition_decisions.type,
            partition_decisions.reason,
            partition_decisions.recorded_at
           FROM partition_decisions
          WHERE partition_decisions.partition_id = p.partition_id
          ORDER BY partition_decisions.decision DESC
         LIMIT 1) d
  WHERE d.type = 'stopped'::text;

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.accesses FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- enabled: always

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.archived_duplicates FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- enabled: always

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.archived_failures FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- enabled: always

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.archived_rollups FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- enabled: always

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.destination_decisions FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- enabled: always

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.inbox FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- enabled: always

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.instances FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- enabled: always

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.log_epochs FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- enabled: always

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.log_segments FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- enabled: always

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.message_events FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- enabled: always

CREATE TRIGGER project AFTER INSERT ON public.message_events REFERENCING NEW TABLE AS new_events FOR EACH STATEMENT EXECUTE FUNCTION project();
-- enabled: origin

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.partition_advances FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- enabled: always

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.partition_decisions FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- enabled: always

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.partition_holes FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- enabled: always

CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON public.records FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- enabled: always

CREATE TRIGGER expunge_only BEFORE UPDATE ON public.records FOR EACH ROW EXECUTE FUNCTION expunge_only();
-- enabled: always

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.replay_job_events FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- enabled: always

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.replay_jobs FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- enabled: always

CREATE TRIGGER keep_all BEFORE TRUNCATE ON public.replay_plan_ids FOR EACH STATEMENT EXECUTE FUNCTION keep_planned();
-- enabled: always

CREATE TRIGGER keep_planned BEFORE DELETE OR UPDATE ON public.replay_plan_ids FOR EACH ROW EXECUTE FUNCTION keep_planned();
-- enabled: always

CREATE TRIGGER keep_all BEFORE TRUNCATE ON public.replay_plans FOR EACH STATEMENT EXECUTE FUNCTION keep_planned();
-- enabled: always

CREATE TRIGGER keep_planned BEFORE DELETE OR UPDATE ON public.replay_plans FOR EACH ROW EXECUTE FUNCTION keep_planned();
-- enabled: always

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.segment_archives FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- enabled: always

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.server_changes FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- enabled: always

CREATE OR REPLACE FUNCTION public.abandon_attempts(in_actor text, in_message_ids bigint[], in_attempts integer[], in_leases timestamp with time zone[], in_delays_ms bigint[], in_reconnected_at timestamp with time zone, in_grace_ms bigint, in_spared_delays_ms bigint[])
 RETURNS text[]
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
declare
  target destinations := enter_destination('default');
  is_spared boolean := target.state <> 'flowing';
  abandoned_at timestamptz := clock_timestamp();
  answers text[];
begin
  with input as materialized (
    select i.message_id, i.attempt, i.place,
      case when is_spared then coalesce(i.delay_ms, i.spared_delay_ms) else i.delay_ms end as delay_ms,
      m.version, m.retry_count, m.position, m.recorded_at,
      coalesce(m.status = 'processing' and m.attempts = i.attempt and m.lease_ends_at = i.lease_ends_at
        and lease_ends_at(m.lease_ends_at, in_reconnected_at, in_grace_ms) <= abandoned_at, false) as is_expired
    from (
      select * from unnest(in_message_ids, in_attempts, in_leases, in_delays_ms, in_spared_delays_ms) with ordinality
        as u(message_id, attempt, lease_ends_at, delay_ms, spared_delay_ms, place)
      order by u.message_id
    ) i
    left join lateral (
      select s.version, s.retry_count, s.position, s.recorded_at, s.status, s.attempts, s.lease_ends_at
      from message_states s where s.message_id = i.message_id limit 1 for no key update
    ) m on true
  ),
  appended as (
    insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, attempt,
      outcome, reason)
    select i.message_id, i.version + e.step, greatest((select current_position()), i.position),
      greatest(abandoned_at, i.recorded_at), e.type, in_actor, e.status, e.retry_count, e.due_at, i.attempt, e.outcome, e.reason
    from input i
    cross join lateral (
      select 1 as step, 'attempt_abandoned' as type, 'failed' as status,
        i.retry_count + case when is_spared or i.delay_ms is null then 0 else 1 end as retry_count,
        greatest(abandoned_at, i.recorded_at) + i.delay_ms * interval '1 millisecond' as due_at, 'unknown' as outcome,
        'abandoned: its lease ended with no outcome' as reason
      union all
      select 2, 'dead_lettered', 'dead_letter', i.retry_count, null, null, 'retries exhausted'
      where i.delay_ms is null
    ) e
    where i.is_expired
    order by 1, 2
  )
  select array_agg(case when not i.is_expired then 'stale' when is_spared then 'spared' else 'appended' end order by i.place)
    into answers from input i;
  perform refuse_unprojected();
  -- Nobody knows what became of a probe that was abandoned; the next one follows.
  update destinations d set probe_message_id = null, probe_attempt = null, probe_ends_at = null
    where target.state = 'held' and d.destination = target.destination and d.probe_message_id = any (in_message_ids)
      and not exists (
        select from message_states m
        where m.message_id = d.probe_message_id and m.status = 'processing' and m.attempts = d.probe_attempt
      );
  if found then
    perform pg_notify('destination_changed', target.destination);
  end if;
  return answers;
end
$function$
;

CREATE OR REPLACE FUNCTION public.abandoned_before(in_message_id bigint, in_attempt integer)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  return coalesce((
    select e.type = 'attempt_abandoned' from message_events e
    where e.message_id = in_message_id
      and (e.type = 'replayed' or (e.attempt = in_attempt - 1 and e.type in ('succeeded', 'attempt_failed', 'attempt_abandoned')))
    order by e.version desc limit 1
  ), false);
end
$function$
;

CREATE OR REPLACE FUNCTION public.advance_destination(in_destination text, in_actor text, in_hold_after integer, in_brake_after integer, in_probe_every_ms bigint, in_ramp_ms bigint)
 RETURNS TABLE(decision integer, state text, cause text, actor text, reason text, since timestamp with time zone, until timestamp with time zone, decided_ms_ago double precision, until_in_ms double precision, next_probe_in_ms double precision, state_decision integer, rate_limit double precision, rate_burst integer, is_throttled boolean, not_before_in_ms double precision, throttle_ends_in_ms double precision, decision_cause text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
#variable_conflict use_column
declare
  place destinations;
  next_state text;
  next_cause text;
begin
  select * into place from destinations d where d.destination = in_destination;
  select d.state, d.cause into next_state, next_cause
    from due_decision(place, in_hold_after, in_brake_after, in_ramp_ms) d;
  if next_state is not null then
    place := lock_destination(in_destination);
    select d.state, d.cause into next_state, next_cause
      from due_decision(place, in_hold_after, in_brake_after, in_ramp_ms) d;
  end if;
  if next_cause = 'unthrottled' then
    place.throttled_at := null;
    place.throttled_rate := null;
    place.throttled_from := null;
    place.not_before := null;
  end if;
  if next_state is not null then
    place := append_decision(
      in_place => place,
      in_state => next_state,
      in_cause => next_cause,
      in_actor => in_actor,
      in_reason => case next_cause
        when 'failures' then case when place.failures = 1 then format('a failure: %s', place.last_reason)
          else format('%s failures in a row, the last one: %s', place.failures, place.last_reason) end
        when 'refusals' then format('%s payments refused in a row, the last one: %s', place.refusals, place.last_reason)
        when 'probes' then format('%s probes in a row were answered', place.probes)
        when 'until' then 'the time of the pause is over'
        when 'unthrottled' then 'the processor has not asked for less for a while'
        else 'room has opened up to the limit' end,
      in_probe_every_ms => in_probe_every_ms);
  end if;
  return query
    select place.decision, place.state, place.cause, l.actor, l.reason, place.since, place.until,
      extract(epoch from clock_timestamp() - place.since)::double precision * 1000,
      extract(epoch from place.until - clock_timestamp())::double precision * 1000,
      extract(epoch from place.next_probe_at - clock_timestamp())::double precision * 1000,
      place.state_decision, place.rate_limit, place.rate_burst, place.throttled_at is not null,
      extract(epoch from place.not_before - clock_timestamp())::double precision * 1000,
      extract(epoch from throttle_ends_at(place) - clock_timestamp())::double precision * 1000, l.cause
    from (values (1)) as one
    left join destination_decisions l on l.destination = place.destination and l.decision = place.decision;
end
$function$
;

CREATE OR REPLACE FUNCTION public.advance_ids()
 RETURNS TABLE(ids text, was bigint, became bigint)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
AS $function$
declare
  last_id text;
begin
  for ids, became in
    select 'message_ids', greatest(
      (select max(e.message_id) from message_events e),
      (select max(s.message_id) from message_states s),
      (select max(r.message_id) from records r),
      (select max(a.next_message_id) - 1 from segment_archives a))
    union all
    select pg_get_serial_sequence('partitions', 'partition_id'), (select max(p.partition_id) from partitions p)
    union all
    select 'replay_plan_numbers', (select max(p.plan) from replay_plans p)
    union all
    select pg_get_serial_sequence('accesses', 'access'), (select max(a.access) from accesses a)
  loop
    last_id := format('select last_value - case when is_called then 0 else 1 end from %s', ids);
    execute last_id into was;
    continue when was >= coalesce(became, 0);
    -- This changes nothing but takes a lock: it waits for transactions that took an id, and nobody takes one until this
    -- transaction ends.
    execute format('alter sequence %s no cycle', ids);
    execute last_id into was;
    continue when was >= became;
    perform setval(ids::regclass, became);
    return next;
  end loop;
end
$function$
;

CREATE OR REPLACE FUNCTION public.age_piece()
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  return age_rollups('35 days', '400 days');
end
$function$
;

CREATE OR REPLACE FUNCTION public.age_rollups(in_hours_after interval, in_days_after interval, in_piece_rows integer DEFAULT 10000)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
AS $function$
declare
  hours_end timestamptz := date_bin('1 hour', clock_timestamp() - in_hours_after, 'epoch');
  -- Days are made of hours, so a day waits for its last hour.
  days_end timestamptz := least(date_bin('24 hours', clock_timestamp() - in_days_after, 'epoch'),
    date_bin('24 hours', hours_end, 'epoch'));
  aged record;
  reached timestamptz;
begin
  select * into strict aged from aged_below();
  if aged.hours_below >= hours_end and aged.days_below >= days_end then
    return false;
  end if;
  if not pg_try_advisory_xact_lock(hashtextextended('fold_counts', 0)) then
    return false;
  end if;
  -- Read again: another session may have aged a piece before this one got the lock.
  select * into strict aged from aged_below();
  if aged.hours_below < hours_end then
    reached := age_span('1 hour', aged.hours_below, hours_end, in_piece_rows);
    insert into rollup_bounds as b (hours_below, days_below) values (reached, aged.days_below)
      on conflict (only_row) do update set hours_below = excluded.hours_below;
  elsif aged.days_below < days_end then
    reached := age_span('24 hours', aged.days_below, days_end, in_piece_rows);
    update rollup_bounds set days_below = reached;
  end if;
  select * into strict aged from aged_below();
  return aged.hours_below < hours_end or aged.days_below < days_end;
end
$function$
;

CREATE OR REPLACE FUNCTION public.age_span(in_resolution interval, in_bound timestamp with time zone, in_end timestamp with time zone, in_piece_rows integer)
 RETURNS timestamp with time zone
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
AS $function$
declare
  reached timestamptz;
begin
  -- Up to the hour or day of the first row that is too many, but past the first one that has rows. The measures of the present
  -- have the minute -infinity and do not age.
  select least(
      in_end,
      (
        select greatest(date_bin(in_resolution, r.minute, 'epoch'), date_bin(in_resolution, f.minute, 'epoch') + in_resolution)
        from (
          select minute from rollups where minute >= in_bound and minute > '-infinity' and minute < in_end
          order by minute offset in_piece_rows limit 1
        ) r
        cross join (
          select minute from rollups where minute >= in_bound and minute > '-infinity' and minute < in_end order by minute limit 1
        ) f
      ),
      (
        select greatest(date_bin(in_resolution, r.minute, 'epoch'), date_bin(in_resolution, f.minute, 'epoch') + in_resolution)
        from (
          select minute from failure_rollups where minute >= in_bound and minute < in_end
          order by minute offset in_piece_rows limit 1
        ) r
        cross join (select minute from failure_rollups where minute >= in_bound and minute < in_end order by minute limit 1) f
      )
    ) into strict reached;
  with gone as (
    delete from rollups
    where minute >= in_bound and minute > '-infinity' and minute < reached and minute <> date_bin(in_resolution, minute, 'epoch')
    returning *
  )
  insert into rollups as r (minute, measure, bucket, n)
    select date_bin(in_resolution, g.minute, 'epoch'), g.measure, g.bucket,
      case when is_maximum(g.measure) then max(g.n) else sum(g.n) end
    from gone g
    group by 1, 2, 3
    order by 1, 2, 3
  on conflict (minute, measure, bucket) do update
    set n = case when is_maximum(r.measure) then greatest(r.n, excluded.n) else r.n + excluded.n end;
  with gone as (
    delete from failure_rollups
    where minute >= in_bound and minute < reached and minute <> date_bin(in_resolution, minute, 'epoch')
    returning *
  )
  insert into failure_rollups as r (minute, pattern, n, last_at, examples)
    select date_bin(in_resolution, g.minute, 'epoch'), g.pattern, sum(g.n), max(g.last_at), example_ids(g.examples)
    from gone g
    group by 1, 2
    order by 1, 2
  on conflict (minute, pattern) do update set
    n = r.n + excluded.n,
    last_at = greatest(r.last_at, excluded.last_at),
    examples = merge_examples(r.examples, excluded.examples);
  return reached;
end
$function$
;

CREATE OR REPLACE FUNCTION public.aged_below()
 RETURNS TABLE(hours_below timestamp with time zone, days_below timestamp with time zone)
 LANGUAGE sql
 STABLE
AS $function$
  select coalesce(max(b.hours_below), '-infinity'), coalesce(max(b.days_below), '-infinity') from rollup_bounds b
$function$
;

CREATE OR REPLACE FUNCTION public.aged_interval(in_minute timestamp with time zone, in_hours_below timestamp with time zone, in_days_below timestamp with time zone)
 RETURNS interval
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select case
    when in_minute < in_days_below then interval '24 hours'
    when in_minute < in_hours_below then interval '1 hour'
    else interval '1 minute'
  end
$function$
;

CREATE OR REPLACE FUNCTION public.aged_minute(in_minute timestamp with time zone, in_hours_below timestamp with time zone, in_days_below timestamp with time zone)
 RETURNS timestamp with time zone
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select date_bin(aged_interval(in_minute, in_hours_below, in_days_below), in_minute, 'epoch')
$function$
;

CREATE OR REPLACE FUNCTION public.append_decision(in_place destinations, in_state text, in_cause text, in_actor text, in_reason text, in_until timestamp with time zone DEFAULT NULL::timestamp with time zone, in_probe_every_ms bigint DEFAULT NULL::bigint)
 RETURNS destinations
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  -- A clock that was set back must not make it older than the one before it.
  decided_at timestamptz := greatest(clock_timestamp(), in_place.since, (
    select c.recorded_at from destination_decisions c where c.destination = in_place.destination and c.decision = in_place.decision));
  position bigint := current_position();
  begins boolean := in_state <> in_place.state;
  decided destinations;
begin
  insert into destination_decisions (destination, decision, position, recorded_at, state, cause, until, failures, refusals, probes,
      rate_limit, rate_burst, actor, reason)
    values (in_place.destination, in_place.decision + 1, position, decided_at, in_state, in_cause, in_until,
      in_place.failures, in_place.refusals, in_place.probes, in_place.rate_limit, in_place.rate_burst,
      in_actor, in_reason);
  -- After a restore into a younger cluster the next events must get positions above it, as above those of events.
  insert into status_count_deltas (position, pending, processing, success, failed, dead_letter) values (position, 0, 0, 0, 0, 0);
  update destinations d set
    decision = in_place.decision + 1,
    rate_limit = in_place.rate_limit,
    rate_burst = in_place.rate_burst,
    throttled_at = in_place.throttled_at,
    throttled_rate = in_place.throttled_rate,
    throttled_from = in_place.throttled_from,
    not_before = in_place.not_before
  where d.destination = in_place.destination
  returning d.* into decided;
  if begins then
    update destinations d set
      state = in_state,
      state_decision = decided.decision,
      cause = in_cause,
      since = decided_at,
      until = in_until,
      failures = 0,
      refusals = 0,
      probes = 0,
      is_answered = false,
      next_probe_at = case when in_state = 'held' then clock_timestamp() + in_probe_every_ms * interval '1 millisecond' end,
      probe_delay_ms = case when in_state = 'held' then in_probe_every_ms end,
      probe_message_id = null,
      probe_attempt = null,
      probe_ends_at = null
    where d.destination = in_place.destination
    returning d.* into decided;
  end if;
  perform pg_notify('destination_changed', in_place.destination);
  -- For lanes of a release that does not listen to that.
  if begins and in_state = 'ramping' then
    perform pg_notify('message_due', '');
  end if;
  return decided;
end
$function$
;

CREATE OR REPLACE FUNCTION public.append_expunged(in_message_ids bigint[], in_actor text, in_reason text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
begin
  if cardinality(in_message_ids) = 0 then
    return;
  end if;
  insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, reason)
    select s.message_id, s.version + 1, greatest((select current_position()), s.position),
      greatest(clock_timestamp(), s.recorded_at), 'expunged', in_actor, s.status, s.retry_count, s.due_at, in_reason
    from message_states s
    where s.message_id = any (in_message_ids)
    order by s.message_id;
  perform refuse_unprojected();
  -- After the event, because the trigger expunge_only asks for it.
  update records r set key = null, headers = null, traceparent = null, payload = null, payload_state = 'expunged'
    where r.message_id = any (in_message_ids) and r.payload_state <> 'expunged';
end
$function$
;

CREATE OR REPLACE FUNCTION public.append_forgotten(in_states message_states[], in_actor text, in_at timestamp with time zone)
 RETURNS TABLE(kind text, message_id bigint, attempt integer, retry_count integer, transaction_id text, payload bytea, traceparent text, age_ms double precision, lease_ends_at bigint)
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
AS $function$
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
$function$
;

CREATE OR REPLACE FUNCTION public.append_inquiries(in_states message_states[], in_actor text, in_at timestamp with time zone, in_lease_ms bigint)
 RETURNS TABLE(kind text, message_id bigint, attempt integer, retry_count integer, transaction_id text, payload bytea, traceparent text, age_ms double precision, lease_ends_at bigint)
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
AS $function$
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
$function$
;

CREATE OR REPLACE FUNCTION public.append_job_event(in_state replay_job_states, in_type text, in_actor text, in_reason text)
 RETURNS replay_job_states
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  in_state.version := in_state.version + 1;
  insert into replay_job_events (job, version, recorded_at, type, actor, reason, per_second)
    values (in_state.job, in_state.version, clock_timestamp(), in_type, in_actor, in_reason, in_state.per_second);
  perform pg_notify('replay_job', in_state.job::text);
  return in_state;
end
$function$
;

CREATE OR REPLACE FUNCTION public.append_late(in_actor text, in_message_id bigint, in_attempt integer, in_attempt_name text, in_outcome text, in_status_code integer, in_duration_ms integer, in_reason text, in_reference text DEFAULT NULL::text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  held message_states;
  written_at timestamptz;
begin
  select * into strict held from message_states where message_id = in_message_id;
  written_at := greatest(clock_timestamp(), held.recorded_at);
  if in_outcome = 'accepted' and held.status = 'processing' then
    insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, attempt, outcome,
        reason)
      values (in_message_id, held.version + 1, greatest(current_position(), held.position), written_at, 'attempt_abandoned',
        in_actor, 'failed', held.retry_count, held.attempts, 'unknown',
        format('superseded: %s was accepted late', in_attempt_name));
    held.version := held.version + 1;
    held.status := 'failed';
    held.due_at := null;
    held.lease_ends_at := null;
  end if;
  insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, attempt,
      outcome, status_code, duration_ms, reason, reference)
    values (in_message_id, held.version + 1, greatest(current_position(), held.position), written_at, 'late_result_observed',
      in_actor,
      case when in_outcome = 'accepted' then 'success' else held.status end,
      held.retry_count,
      case when in_outcome = 'accepted' then null else coalesce(held.due_at, held.lease_ends_at) end,
      in_attempt, in_outcome, in_status_code, in_duration_ms, in_reason, in_reference);
end
$function$
;

CREATE OR REPLACE FUNCTION public.append_record_event(in_message_id bigint, in_actor text, in_topic text, in_partition integer, in_incarnation integer, in_offset bigint, in_hash bytea, in_conflicting_id bigint, in_key bytea, in_headers text, in_traceparent text, in_timestamp_ms bigint, in_payload_bytes integer)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
$function$
;

CREATE OR REPLACE FUNCTION public.begin_epoch(in_actor text, in_reason text)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  begun int;
begin
  -- A transaction that has read the base holds a lock on this table until it ends. So from here on nothing is appended in the old
  -- epoch, and nothing is read below its watermark. Services may keep running: they go on in the new epoch.
  lock table log_epochs in access exclusive mode;
  insert into log_epochs (epoch, base, actor, reason)
    select max(epoch) + 1, log_floor(), in_actor, in_reason from log_epochs
    having rewound_by(log_floor()) > 0
    returning epoch into begun;
  return begun;
end
$function$
;

CREATE OR REPLACE FUNCTION public.begin_plan()
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  return nextval('replay_plan_numbers');
end
$function$
;

CREATE OR REPLACE FUNCTION public.begin_probe(in_destination text, in_status text, in_inquires boolean DEFAULT false)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
AS $function$
declare
  looked_at timestamptz := clock_timestamp();
  place destinations;
  -- How many messages of a queue are looked at for one that is not in doubt.
  sure_among constant int := 1000;
  sure_queue text;
begin
  select * into place from destinations d
    where d.destination = in_destination and d.state = 'held' and (d.next_probe_at <= looked_at
      -- The clock was set back since.
      or d.next_probe_at > looked_at + d.probe_delay_ms * interval '1 millisecond')
      and (free_slots(d, looked_at)).slots is distinct from 0
    for no key update skip locked;
  if not found then
    return false;
  end if;
  if has_open_probe(place, looked_at) then
    return false;
  end if;
  -- An inquiry says less than an attempt. So, near the front of either queue, what is not in doubt goes first.
  if in_inquires then
    sure_queue := (
      select o.queue
      from unnest(array['pending', 'failed']) as q(queue)
      cross join lateral (
        select s.queue, s.due_at, s.message_id from (
          select m.queue, m.due_at, m.message_id, m.outcome_unknown from message_states m
          where m.queue = q.queue and m.due_at is not null and m.due_at <= looked_at
          order by m.due_at, m.message_id limit sure_among
        ) s
        where not s.outcome_unknown
        order by s.due_at, s.message_id limit 1
      ) o
      order by o.due_at, o.message_id limit 1
    );
    if sure_queue is not null then
      return in_status = sure_queue;
    end if;
  end if;
  return in_status is not distinct from (
    select o.queue
    from unnest(array['pending', 'failed']) as q(queue)
    cross join lateral (
      select s.queue, s.due_at, s.message_id from message_states s
      where s.queue = q.queue and s.due_at is not null and s.due_at <= looked_at
      order by s.due_at, s.message_id limit 1
      for no key update skip locked
    ) o
    order by o.due_at, o.message_id limit 1
  );
end
$function$
;

CREATE OR REPLACE FUNCTION public.claim(in_queue text, in_is_slow boolean, in_actor text, in_room integer, in_bytes_max bigint, in_lease_ms bigint, in_claimed_at timestamp with time zone, in_look_from timestamp with time zone, in_key_window_ms bigint DEFAULT NULL::bigint, in_inquires boolean DEFAULT false, in_sure boolean DEFAULT false)
 RETURNS TABLE(kind text, message_id bigint, attempt integer, retry_count integer, transaction_id text, payload bytea, traceparent text, age_ms double precision, lease_ends_at bigint)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
#variable_conflict use_column
declare
  due message_states[] := array(
    select d from lock_due(
      in_queue => in_queue,
      in_is_slow => in_is_slow,
      in_room => in_room,
      in_at => in_claimed_at,
      in_look_from => in_look_from,
      in_sure => in_sure) d);
  doubtful message_states[];
  forgotten message_states[];
begin
  -- Most looks find nothing. They skip the statement below and the trigger of the log, which fires for no rows too.
  if cardinality(due) = 0 then
    return;
  end if;
  if (in_key_window_ms is not null or in_inquires) and exists (select from unnest(due) d where d.outcome_unknown) then
    select coalesce(array_agg(d) filter (where n.step = 'attempt'), '{}'), array_agg(d) filter (where n.step = 'inquire'),
        array_agg(d) filter (where n.step = 'forget')
      into due, doubtful, forgotten
      from unnest(due) d
      cross join lateral (
        select case when d.outcome_unknown
            then next_step(d.message_id, greatest(in_claimed_at, d.recorded_at), in_lease_ms, in_key_window_ms, in_inquires)
          else 'attempt' end as step
      ) n;
    if forgotten is not null then
      return query select * from append_forgotten(forgotten, in_actor, in_claimed_at);
    end if;
    if doubtful is not null then
      return query select * from append_inquiries(doubtful, in_actor, in_claimed_at, in_lease_ms);
    end if;
    if cardinality(due) = 0 then
      return;
    end if;
  end if;
  return query
  with measured as (
    select d.*, r.payload, r.traceparent,
      sum(r.payload_bytes::bigint) over (order by d.due_at, d.message_id) - r.payload_bytes as bytes_before
    from unnest(due) d
    cross join lateral (
      select p.payload, p.payload_bytes, p.traceparent from records p
      where p.message_id = d.message_id and p.version = 1 limit 1
    ) r
  ),
  chosen as materialized (
    select m.*, greatest(in_claimed_at, m.recorded_at) + in_lease_ms * interval '1 millisecond' as lease_end
    from measured m where m.bytes_before < in_bytes_max
  ),
  started as (
    insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, attempt)
    select c.message_id, c.version + 1, greatest((select current_position()), c.position), greatest(in_claimed_at, c.recorded_at),
      'attempt_started', in_actor, 'processing', c.retry_count, c.lease_end, c.attempts + 1
    from chosen c
    order by c.message_id
  )
  select 'claim', c.message_id, c.attempts + 1, c.retry_count, c.transaction_id::text, c.payload, c.traceparent,
    (extract(epoch from in_claimed_at - c.created_at) * 1000)::double precision, lease_micros(c.lease_end)
  from chosen c
  order by c.due_at, c.message_id;
  perform refuse_unprojected();
end
$function$
;

CREATE OR REPLACE FUNCTION public.count_ended(in_state replay_job_states, in_stop_after integer)
 RETURNS replay_job_states
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
declare
  counted record;
begin
  with seen as materialized (
    select o.message_id, m.status, exists (
        select from decided_messages d where d.message_id = o.message_id and d.resolution is null
      ) as is_held,
      m.status = 'failed' and coalesce(f.is_unsent, false) as is_unsent,
      coalesce(f.type = 'cancelled', false) as is_cancelled,
      coalesce(f.type = 'attempt_failed' or f.inquiry = 'refused', false) as is_judged
    from replay_job_open o
    left join lateral (select s.status from message_states s where s.message_id = o.message_id limit 1) m on true
    left join lateral (
      select e.type, e.inquiry, e.outcome = 'not_sent' and e.duration_ms is null as is_unsent from message_events e
      where m.status in ('failed', 'dead_letter') and e.message_id = o.message_id
        and (e.type in ('attempt_failed', 'attempt_abandoned', 'cancelled', 'replayed') or e.inquiry = 'refused')
      order by e.version desc limit 1
    ) f on true
    where o.job = in_state.job
  ),
  ended as (
    delete from replay_job_open o using seen e
    where o.job = in_state.job and o.message_id = e.message_id
      and (e.is_held or e.status is null or e.status not in ('pending', 'processing') and not e.is_unsent)
    returning e.status, e.is_cancelled, e.is_judged
  )
  select count(*) filter (where e.status = 'success') as succeeded,
    count(*) filter (where e.status in ('failed', 'dead_letter') and not e.is_cancelled) as failed,
    count(*) filter (where e.status in ('failed', 'dead_letter') and e.is_judged) as judged
    into counted
  from ended e;
  in_state.succeeded := in_state.succeeded + counted.succeeded;
  in_state.failed_again := in_state.failed_again + counted.failed;
  if in_stop_after is not null then
    in_state.recent := right(
      in_state.recent || repeat('s', counted.succeeded::int) || repeat('f', counted.judged::int), in_stop_after);
  end if;
  return in_state;
end
$function$
;

CREATE OR REPLACE FUNCTION public.count_failures(in_message_ids bigint[], in_times timestamp with time zone[], in_reasons text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
AS $function$
begin
  insert into failure_deltas (position, minute, pattern, n, last_at, examples)
    select current_position(), date_bin('1 minute', f.recorded_at, 'epoch'), p.pattern, count(*), max(f.recorded_at),
      (array_agg(distinct f.message_id order by f.message_id desc))[1:3]
    from unnest(in_message_ids, in_times, in_reasons) as f(message_id, recorded_at, reason)
    join (
      select r.reason, failure_pattern(r.reason) as pattern from (select distinct unnest(in_reasons)) r(reason)
    ) p on p.reason = f.reason
    group by 2, 3;
end
$function$
;

CREATE OR REPLACE FUNCTION public.count_failures_of(in_first bigint DEFAULT 0, in_next bigint DEFAULT '9223372036854775807'::bigint)
 RETURNS TABLE(minute timestamp with time zone, pattern text, n bigint, last_at timestamp with time zone, examples bigint[])
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
AS $function$
#variable_conflict use_column
begin
  return query
  select date_bin('1 minute', e.recorded_at, 'epoch') as minute, failure_pattern(e.reason) as pattern, count(*) as n,
    max(e.recorded_at) as last_at, (array_agg(distinct e.message_id order by e.message_id desc))[1:3] as examples
  from message_events e
  where is_failure(e.type) and e.reason is not null
    and e.message_id >= in_first and e.message_id < in_next
  group by 1, 2;
end
$function$
;

CREATE OR REPLACE FUNCTION public.count_letter(in_results text, in_letter text)
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$
  select length(in_results) - length(replace(in_results, in_letter, ''))
$function$
;

CREATE OR REPLACE FUNCTION public.count_letters(in_position bigint, in_message_ids bigint[], in_versions integer[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
declare
  -- Starting a statement costs for each segment; these two leave out the segments that have none of the messages.
  first_id constant bigint := (select min(m) from unnest(in_message_ids) as m);
  last_id constant bigint := (select max(m) from unnest(in_message_ids) as m);
begin
  insert into status_count_deltas (position, pending, processing, success, failed, dead_letter, minutes, measures, buckets, counts)
    select in_position, 0, 0, 0, 0, 0, array_agg('-infinity'::timestamptz), array_agg('open_dead_letter_' || c.cause), array_agg(0),
      array_agg(c.n)
    from (
      select dead_letter_cause(l.type, l.reason) as cause, sum(case when e.opens then 1 else -1 end)::bigint as n
      from unnest(in_message_ids, in_versions) as u(message_id, version)
      cross join lateral (
        select a.type not in ('replayed', 'resolved', 'late_result_observed') as opens, a.type = 'late_result_observed' as is_late
        from message_events a
        where a.message_id = u.message_id and a.message_id between first_id and last_id and a.version = u.version
        limit 1
      ) e
      cross join lateral (
        select d.type, d.reason from message_events d
        where d.message_id = u.message_id and d.message_id between first_id and last_id and d.version <= u.version
          and d.status = 'dead_letter' and (d.type in ('dead_lettered', 'cancelled') or d.version = 1)
        order by d.version desc limit 1
      ) l
      -- What was accepted late was an open dead letter, or a resolved one, or none at all.
      left join lateral (
        select b.status, b.version from message_events b
        where e.is_late and b.message_id = u.message_id and b.message_id between first_id and last_id and b.version = u.version - 1
        limit 1
      ) before on true
      left join lateral (
        select d.type from message_events d
        where before.status = 'dead_letter' and d.message_id = u.message_id and d.message_id between first_id and last_id
          and d.version <= before.version and d.type in ('resolved', 'reopened', 'replayed')
        order by d.version desc limit 1
      ) decided on true
      where not e.is_late or (before.status = 'dead_letter' and decided.type is distinct from 'resolved')
      group by 1
    ) c
    where c.n <> 0
    having count(*) > 0;
end
$function$
;

CREATE OR REPLACE FUNCTION public.count_missed(in_status text, in_reconnected_at timestamp with time zone, in_grace_ms bigint)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
AS $function$
declare
  long_ago timestamptz := clock_timestamp() - interval '10 seconds';
  listening text[];
  missed int;
begin
  if in_status = 'processing' and lease_ends_at('-infinity', in_reconnected_at, in_grace_ms) > long_ago then
    return 0;
  end if;
  if in_status <> 'processing' and exists (select from destinations d where d.destination = 'default'
      and (d.state <> 'flowing' or d.rate_limit is not null or d.throttled_at is not null)) then
    return case when not exists (
      select from message_states s where s.queue = in_status and s.due_at is not null and s.due_at <= long_ago
    ) then 0 end;
  end if;
  if in_status = 'processing' then
    listening := listening_instances();
    perform note_overdue('-infinity', long_ago);
  end if;
  missed := (
    select count(*) from (
      select from message_states s where s.queue = in_status and s.due_at is not null and s.due_at <= long_ago
      union all
      select from overdue_attempts o
      join message_states s on s.message_id = o.message_id and s.status = 'processing' and s.lease_ends_at = o.lease_ends_at
      where in_status = 'processing' and o.lease_ends_at <= long_ago and split_part(s.claimed_by, '/', 1) <> all (listening)
      limit 1000
    ) m
  );
  return case when missed > 0 or in_status <> 'processing' or not exists (
    select from overdue_attempts o
    join message_states s on s.message_id = o.message_id and s.status = 'processing' and s.lease_ends_at = o.lease_ends_at
    where o.lease_ends_at <= long_ago
  ) then missed end;
end
$function$
;

CREATE OR REPLACE FUNCTION public.count_open(in_job bigint, OUT every integer, OUT busy integer, OUT own integer, OUT own_busy integer)
 RETURNS record
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
begin
  select count(*), count(*) filter (where m.is_busy), count(*) filter (where o.job = in_job),
    count(*) filter (where m.is_busy and o.job = in_job)
    into every, busy, own, own_busy
  from replay_job_open o
  left join lateral (
    select s.status = 'processing' or s.due_at <= clock_timestamp()
      -- While the processor is asked, the message is due when the lease of the inquiry ends.
      or s.outcome_unknown and exists (
        select from message_events e where e.message_id = o.message_id and e.version = s.version and e.type = 'inquiry_started'
      ) as is_busy
    from message_states s where s.message_id = o.message_id limit 1
  ) m on true;
end
$function$
;

CREATE OR REPLACE FUNCTION public.count_rollups(in_first bigint DEFAULT 0, in_next bigint DEFAULT '9223372036854775807'::bigint)
 RETURNS TABLE(minute timestamp with time zone, measure text, bucket integer, n bigint)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
AS $function$
#variable_conflict use_column
begin
  return query
  with event as (
    select e.message_id, e.version, e.recorded_at, e.type, e.outcome, e.duration_ms,
      date_bin('1 minute', e.recorded_at, 'epoch') as minute,
      case e.type
        when 'succeeded' then true
        when 'late_result_observed' then e.status = 'success' and 'success' <> (
          select b.status from message_events b where b.message_id = e.message_id and b.version = e.version - 1
            and b.message_id >= in_first and b.message_id < in_next
        )
        else false
      end as succeeds
    from message_events e
    where e.message_id >= in_first and e.message_id < in_next
  ),
  duration as materialized (
    select t.minute, t.measure, latency_bucket(t.micros) as bucket, count(*) as n, max(t.micros)::bigint as longest
    from (
      select e.minute, 'end_to_end' as measure, round(date_part('epoch', e.recorded_at - b.recorded_at) * 1e6) as micros
      from event e
      join message_events b on b.message_id = e.message_id and b.version = 1 and b.message_id >= in_first and b.message_id < in_next
      where e.type in ('succeeded', 'late_result_observed') and e.succeeds
      union all
      select e.minute, 'attempt', e.duration_ms * 1000::double precision
      from event e where e.type in ('succeeded', 'attempt_failed') and e.duration_ms is not null
    ) t
    group by 1, 2, 3
  )
  select k.minute, k.measure, 0 as bucket, count(*) as n
  from (select e.minute, event_measure(e.type, e.outcome, e.version = 1, e.succeeds) as measure from event e) k
  where k.measure is not null
  group by 1, 2
  union all
  select d.minute, d.measure, d.bucket, d.n from duration d
  union all
  select d.minute, d.measure || '_max', 0, max(d.longest) from duration d group by 1, 2
  union all
  select '-infinity', 'retries', s.retry_count, count(*) from message_states s
  where s.message_id >= in_first and s.message_id < in_next group by 3
  union all
  select '-infinity', unknown_measure(s.status), 0, count(*)
  from message_states s where s.outcome_unknown and s.message_id >= in_first and s.message_id < in_next group by 2
  union all
  select '-infinity', case when d.resolution is null then 'on_hold' else 'resolved_dead_letter' end, 0, count(*)
  from decided_messages d where d.message_id >= in_first and d.message_id < in_next group by 2
  union all
  select '-infinity', 'open_dead_letter_' || dead_letter_cause(l.type, l.reason), 0, count(*)
  from message_states s
  cross join lateral (
    select d.type, d.reason from message_events d
    where d.message_id = s.message_id and d.message_id >= in_first and d.message_id < in_next
      and d.status = 'dead_letter' and (d.type in ('dead_lettered', 'cancelled') or d.version = 1)
    order by d.version desc limit 1
  ) l
  where s.queue = 'dead_letter' and s.message_id >= in_first and s.message_id < in_next
    and not exists (select from decided_messages r where r.message_id = s.message_id and r.resolution is not null)
  group by 2;
end
$function$
;

CREATE OR REPLACE FUNCTION public.count_steps(in_position bigint, in_from_statuses text[], in_types text[], in_to_statuses text[], in_outcomes text[], in_minutes timestamp with time zone[], in_examples bigint[], in_events bigint[], in_rollup_minutes timestamp with time zone[], in_rollup_measures text[], in_rollup_buckets integer[], in_rollup_counts bigint[])
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
declare
  counted bigint;
  illegal text;
begin
  with step as materialized (
    select s.from_status, s.type, s.to_status, s.outcome, s.minute, s.example, s.events
    from unnest(in_from_statuses, in_types, in_to_statuses, in_outcomes, in_minutes, in_examples, in_events)
      as s(from_status, type, to_status, outcome, minute, example, events)
  ),
  rollup as (
    select s.minute, m.measure, 0 as bucket, sum(s.events)::bigint as n
    from step s
    cross join lateral (
      select event_measure(s.type, s.outcome, s.from_status = 'none', s.to_status = 'success' and s.from_status <> 'success')
        as measure
    ) m
    where m.measure is not null
    group by 1, 2
    union all
    select r.minute, r.measure, r.bucket, r.n
    from unnest(in_rollup_minutes, in_rollup_measures, in_rollup_buckets, in_rollup_counts) as r(minute, measure, bucket, n)
  ),
  stored as (
    insert into status_count_deltas (position, pending, processing, success, failed, dead_letter, minutes, measures, buckets,
        counts)
      select in_position, k.pending, k.processing, k.success, k.failed, k.dead_letter, r.minutes, r.measures, r.buckets,
        r.counts
      from (
        select
          coalesce(sum(s.events) filter (where s.to_status = 'pending'), 0)
            - coalesce(sum(s.events) filter (where s.from_status = 'pending'), 0) as pending,
          coalesce(sum(s.events) filter (where s.to_status = 'processing'), 0)
            - coalesce(sum(s.events) filter (where s.from_status = 'processing'), 0) as processing,
          coalesce(sum(s.events) filter (where s.to_status = 'success'), 0)
            - coalesce(sum(s.events) filter (where s.from_status = 'success'), 0) as success,
          coalesce(sum(s.events) filter (where s.to_status = 'failed'), 0)
            - coalesce(sum(s.events) filter (where s.from_status = 'failed'), 0) as failed,
          coalesce(sum(s.events) filter (where s.to_status = 'dead_letter'), 0)
            - coalesce(sum(s.events) filter (where s.from_status = 'dead_letter'), 0) as dead_letter
        from step s
      ) k
      cross join (
        select array_agg(minute) as minutes, array_agg(measure) as measures, array_agg(bucket) as buckets,
          array_agg(n) as counts
        from rollup
      ) r
  )
  select sum(s.events), (
      select format('message %s: from %s by %s to %s', i.example, i.from_status, i.type, i.to_status)
      from step i
      left join legal_transitions l
        on l.from_status = i.from_status and l.type = i.type and l.to_status = i.to_status
      where l.type is null limit 1
    )
    into counted, illegal
    from step s;
  if illegal is not null then
    raise exception 'illegal transition: %', illegal using errcode = 'integrity_constraint_violation';
  end if;
  return counted;
end
$function$
;

CREATE OR REPLACE FUNCTION public.created_between(in_from timestamp with time zone, in_to timestamp with time zone)
 RETURNS TABLE(first_message_id bigint, last_message_id bigint)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
AS $function$
#variable_conflict use_column
begin
  return query
  select min(s.first_message_id), max(s.last_message_id)
  from (
    (
      select a.first_message_id, a.last_message_id from partition_advances a
      where a.recorded_at >= coalesce(in_from, '-infinity') and a.recorded_at < coalesce(in_to, 'infinity')
        and a.first_message_id is not null
      order by a.recorded_at limit 10000
    )
    union all
    (
      select a.first_message_id, a.last_message_id from partition_advances a
      where a.recorded_at >= coalesce(in_from, '-infinity') and a.recorded_at < coalesce(in_to, 'infinity')
        and a.first_message_id is not null
      order by a.recorded_at desc limit 10000
    )
  ) s;
end
$function$
;

CREATE OR REPLACE FUNCTION public.current_position()
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
AS $function$
declare
  base bigint;
  given bigint;
  ahead bigint;
begin
  -- The weakest lock that recognize_server waits for. A dump does not have it.
  lock table log_epochs in row share mode;
  -- A statement of its own, because it sees the epoch that began while the one above waited.
  base := (select l.base from log_epochs l order by l.epoch desc limit 1);
  given := pg_current_xact_id()::text::bigint;
  -- Every statement that appended has left a delta, and folded deltas lie below the bound of the fold. Both tables are small, and
  -- so this finds the highest position sooner than the log itself would. The rest is `rewound_by`, written out: calling a function in
  -- SQL has it planned anew for each statement (0.2 ms, measured).
  select greatest(f.bound, d.position + 1) - greatest(pg_snapshot_xmax(pg_current_snapshot())::text::bigint, given + 1) - base
    into ahead
  from (select bound from status_count_folds order by bound desc limit 1) f
  left join lateral (
    select c.position from status_count_deltas c where c.position >= f.bound order by c.position desc limit 1
  ) d on true;
  if ahead > 0 then
    raise exception 'the log reaches % positions beyond the transaction ids of this cluster, as after a restore into a younger one', ahead
      using errcode = 'object_not_in_prerequisite_state', hint = 'npm run epoch -- --reason R';
  end if;
  return given + base;
end
$function$
;

CREATE OR REPLACE FUNCTION public.dead_letter_cause(in_type text, in_reason text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select case in_type
    when 'rejected' then 'rejected_record'
    when 'conflict_received' then 'conflicting_record'
    when 'cancelled' then 'cancelled'
    else case
      when in_reason = 'refused' then 'refused'
      when in_reason like 'outcome unknown%' then 'outcome_unknown'
      else 'retries_exhausted'
    end
  end
$function$
;

CREATE OR REPLACE FUNCTION public.decide_message(in_transaction_id text, in_decision text, in_actor text, in_reason text, in_resolution text DEFAULT NULL::text, in_evidence text DEFAULT NULL::text)
 RETURNS TABLE(answer text, version integer, status text, attempt integer, resolution text, actor text, since timestamp with time zone, reason text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
#variable_conflict use_column
declare
  id bigint;
  found_state message_states;
  stands record;
  decided_at timestamptz;
begin
  if coalesce(btrim(in_actor), '') = '' or coalesce(btrim(in_reason), '') = '' then
    raise exception 'a decision takes an actor and a reason' using errcode = 'invalid_parameter_value';
  end if;
  if in_decision is null or in_decision not in ('hold', 'release', 'cancel', 'resolve', 'reopen') then
    raise exception 'there is no decision %', in_decision using errcode = 'invalid_parameter_value';
  end if;
  if (in_decision = 'resolve') <> coalesce(in_resolution in ('carried_out', 'not_carried_out', 'duplicate', 'ignored'), false)
      or in_decision <> 'resolve' and (in_resolution is not null or in_evidence is not null) then
    raise exception 'the decision % with the resolution %', in_decision, in_resolution using errcode = 'invalid_parameter_value';
  end if;
  select b.message_id into id from inbox b where b.transaction_id = in_transaction_id collate "C";
  select * into found_state from message_states s where s.message_id = id for no key update;
  if not found then
    return query select 'unknown', null::int, null::text, null::int, null::text, null::text, null::timestamptz, null::text;
    return;
  end if;
  -- A statement of its own, because it sees what the other decision did that the one above waited for.
  select d.version, d.resolution, e.actor, e.recorded_at, e.reason into stands
    from (values (id)) as m (message_id)
    left join decided_messages d on d.message_id = m.message_id
    left join message_events e on e.message_id = d.message_id and e.version = d.version;
  answer := case
    when in_decision = 'release' then case when stands.version is null or stands.resolution is not null then 'not_held' end
    when in_decision in ('resolve', 'reopen') then
      case
        when found_state.status <> 'dead_letter' then 'not_a_dead_letter'
        when in_decision = 'resolve' and stands.resolution is not null then 'already_resolved'
        when in_decision = 'reopen' and stands.resolution is null then 'not_resolved'
      end
    when found_state.status = 'processing' then 'already_started'
    when found_state.status in ('success', 'dead_letter') then 'already_ended'
    when in_decision = 'hold' and stands.version is not null then 'already_held'
  end;
  version := found_state.version;
  status := found_state.status;
  if answer = 'already_started' then
    attempt := found_state.attempts;
  end if;
  if answer in ('already_held', 'already_resolved') then
    resolution := stands.resolution;
    actor := stands.actor;
    since := stands.recorded_at;
    reason := stands.reason;
  end if;
  if answer is null then
    answer := 'decided';
    version := found_state.version + 1;
    status := case in_decision when 'cancel' then 'dead_letter' else found_state.status end;
    decided_at := greatest(clock_timestamp(), found_state.recorded_at);
    insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, reason,
        resolution, evidence)
      select id, found_state.version + 1, greatest(current_position(), found_state.position), decided_at,
        case in_decision when 'hold' then 'held' when 'release' then 'released' when 'cancel' then 'cancelled'
          when 'resolve' then 'resolved' else 'reopened' end,
        in_actor, case in_decision when 'cancel' then 'dead_letter' else found_state.status end, found_state.retry_count,
        -- Never before now: a lane does not look again at times that it has passed.
        case when in_decision = 'release' then greatest(decided_at, (
          select e.due_at from message_events e
          where e.message_id = id and e.version = stands.version - 1
        )) end,
        in_reason, in_resolution, in_evidence;
    perform refuse_unprojected();
  end if;
  return next;
end
$function$
;

CREATE OR REPLACE FUNCTION public.decide_partition(in_topic text, in_partition integer, in_type text, in_low bigint, in_high bigint, in_actor text, in_reason text)
 RETURNS TABLE(answer text, stood_at bigint, goes_on_at bigint, stopped_by text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  held partitions;
  latest partition_decisions;
begin
  answer := 'not_stopped';
  select * into held from partitions where topic = in_topic and partition = in_partition
    order by incarnation desc limit 1 for no key update;
  -- A statement of its own, because it sees what was decided while the one above waited. The row may not be the highest
  -- incarnation any more; then it is not stopped.
  select * into latest from partition_decisions where partition_id = held.partition_id order by decision desc limit 1;
  if latest.type is distinct from 'stopped' then
    return next;
    return;
  end if;
  stood_at := latest.next_offset;
  stopped_by := latest.reason;
  answer := 'decided';
  case in_type
    when 'resumed' then
      goes_on_at := stood_at;
    when 'gap_accepted' then
      goes_on_at := greatest(stood_at, latest.resume_offset, in_low);
      answer := case when stood_at > in_high or goes_on_at > in_high then 'beyond' when goes_on_at = stood_at then 'no_gap'
        else answer end;
    when 'incarnation_begun' then
      goes_on_at := in_low;
  end case;
  if answer <> 'decided' then
    return next;
    return;
  end if;

  insert into partition_decisions (partition_id, decision, type, next_offset, resume_offset, recorded_at, actor, reason)
    values (held.partition_id, latest.decision + 1, in_type, stood_at, goes_on_at, clock_timestamp(), in_actor, in_reason);
  if in_type = 'gap_accepted' then
    insert into partition_advances (partition_id, first_offset, next_offset, received, duplicates, conflicts, rejected, holes,
        gaps, recorded_at, actor)
      values (held.partition_id, stood_at, goes_on_at, 0, 0, 0, 0, 0, goes_on_at - stood_at, clock_timestamp(), in_actor);
  elsif in_type = 'incarnation_begun' then
    insert into partitions (topic, partition, incarnation, begins_at)
      values (in_topic, in_partition, held.incarnation + 1, in_low);
  end if;
  perform pg_notify('partition_decided', '');
  return next;
end
$function$
;

CREATE OR REPLACE FUNCTION public.decision_counts()
 RETURNS TABLE(open_dead_letters bigint, resolved_dead_letters bigint, on_hold bigint)
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
AS $function$
#variable_conflict use_column
begin
  return query
  select c.dead_letter - a.dead_letter - (n.resolved - a.resolved), n.resolved - a.resolved, n.on_hold
  from status_counts() c
  cross join (
    select coalesce(sum(r.n) filter (where r.measure = 'resolved_dead_letter'), 0)::bigint as resolved,
      coalesce(sum(r.n) filter (where r.measure = 'on_hold'), 0)::bigint as on_hold
    from read_rollups('-infinity', '-infinity', array['resolved_dead_letter', 'on_hold']) r
  ) n
  -- By the key, segment by segment: the rows of an archive are thousands.
  cross join (
    select coalesce(sum(s.dead_letter), 0)::bigint as dead_letter, coalesce(sum(r.n), 0)::bigint as resolved
    from segment_archives s
    left join lateral (
      select b.n from archived_rollups b
      where b.segment = s.segment and b.minute = '-infinity' and b.measure = 'resolved_dead_letter' and b.bucket = 0
      limit 1
    ) r on true
  ) a;
end
$function$
;

CREATE OR REPLACE FUNCTION public.decisions_of(in_message_ids bigint[])
 RETURNS SETOF decided_messages
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
begin
  return query
  select l.message_id, l.version, l.resolution
  from unnest(in_message_ids) as u(message_id)
  cross join lateral (
    select e.message_id, e.version, e.type, e.resolution from message_events e
    where e.message_id = u.message_id
      and e.type in ('held', 'released', 'cancelled', 'attempt_started', 'resolved', 'reopened', 'replayed', 'succeeded', 'late_result_observed')
      and (e.type <> 'late_result_observed' or e.status = 'success')
    order by e.version desc limit 1
  ) l
  where l.type in ('held', 'resolved');
end
$function$
;

CREATE OR REPLACE FUNCTION public.doubt_of(in_message_id bigint)
 RETURNS TABLE(first_at timestamp with time zone, not_founds integer, inquiry text, inquired_at timestamp with time zone)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
AS $function$
#variable_conflict use_column
begin
  return query
  with unsent as (
    select e.attempt from message_events e
    where e.message_id = in_message_id and e.type = 'attempt_failed' and e.outcome = 'not_sent'
  ),
  bound as (
    select min(e.recorded_at) filter (where e.type = 'late_result_observed'
        or e.type = 'attempt_started' and e.attempt not in (select u.attempt from unsent u)) as first_at,
      coalesce(max(e.version) filter (where e.outcome = 'unknown' and (e.type <> 'late_result_observed' or e.attempt is null)), 0) as doubt,
      coalesce(max(e.version) filter (where e.outcome = 'accepted' or e.outcome = 'refused' and e.type = 'attempt_failed'
        or e.inquiry = 'refused' or e.confirmed_not_carried_out), 0) as answer,
      coalesce(max(e.version) filter (where e.type = 'replayed'), 0) as replay
    from message_events e where e.message_id = in_message_id
  )
  select b.first_at, n.not_founds, l.inquiry, l.recorded_at
  from bound b
  left join lateral (
    select e.inquiry, e.recorded_at from message_events e
    where e.message_id = in_message_id and e.version > greatest(b.doubt, b.replay) and e.inquiry is not null
    order by e.version desc limit 1
  ) l on true
  cross join lateral (
    select count(*)::int as not_founds from message_events e
    where e.message_id = in_message_id and e.inquiry = 'not_found' and e.version > greatest(b.doubt, b.replay)
      and not exists (
        select from message_events o
        where o.message_id = in_message_id and o.version > e.version and o.inquiry is not null and o.inquiry <> 'not_found'
      )
  ) n
  where b.doubt > b.answer;
end
$function$
;

CREATE OR REPLACE FUNCTION public.drop_segment(in_row jsonb, in_rollups jsonb, in_failures jsonb, in_seen pg_snapshot, in_base bigint, in_lock_timeout_ms integer)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  archived segment_archives;
  parent text;
  part text;
  wait_ms int;
  is_locked boolean := false;
begin
  insert into segment_archives
    select * from jsonb_populate_record(null::segment_archives,
      in_row || jsonb_build_object('archived_at', clock_timestamp()))
    returning * into archived;
  if not exists (
    select from log_segments s
    where s.segment = archived.segment and s.first_message_id = archived.first_message_id
      and s.next_message_id = archived.next_message_id
  ) then
    raise exception 'segment % has other message ids', archived.segment;
  end if;
  insert into archived_rollups
    select archived.segment, r.minute, r.measure, r.bucket, r.n
    from jsonb_to_recordset(in_rollups) as r(minute timestamptz, measure text, bucket int, n bigint);
  -- A tool of a release that did not know the causes of open dead letters has left them out of the sums: so they leave the rollups here.
  if not exists (select from archived_rollups r where r.segment = archived.segment and r.measure like 'open\_dead\_letter\_%')
      and exists (
        select from message_states s
        where s.queue = 'dead_letter' and s.message_id >= archived.first_message_id and s.message_id < archived.next_message_id
          and not exists (select from decided_messages d where d.message_id = s.message_id and d.resolution is not null)
      ) then
    insert into status_count_deltas (position, pending, processing, success, failed, dead_letter, minutes, measures, buckets, counts)
      select current_position(), 0, 0, 0, 0, 0, array_agg(c.minute), array_agg(c.measure), array_agg(c.bucket), array_agg(-c.n)
      from count_rollups(archived.first_message_id, archived.next_message_id) c
      where c.measure like 'open\_dead\_letter\_%'
      having count(*) > 0;
  end if;
  insert into archived_failures
    select archived.segment, r.minute, r.pattern, r.n, r.last_at, r.examples
    from jsonb_to_recordset(in_failures) as r(minute timestamptz, pattern text, n bigint, last_at timestamptz, examples bigint[]);
  foreach wait_ms in array array[10, 10, 20, 20, 50, 50, 100, in_lock_timeout_ms]
  loop
    begin
      perform set_config('lock_timeout', least(wait_ms, in_lock_timeout_ms)::text, true);
      -- All statements of the service name the tables, so this keeps them out. `only` leaves the partitions to those who vacuum them.
      lock table only message_states, only records, only message_events in access exclusive mode;
      is_locked := true;
    exception when lock_not_available then
      -- What it had locked is free again.
    end;
    exit when is_locked;
    perform pg_sleep(0.05);
  end loop;
  if not is_locked then
    raise exception 'the tables of the log are in use' using errcode = 'lock_not_available';
  end if;
  -- A vacuum of the partition itself may be in the way for a moment, and everybody waits already.
  perform set_config('lock_timeout', in_lock_timeout_ms::text, true);
  if segment_changed(archived.first_message_id, archived.next_message_id, in_seen, in_base) then
    return false;
  end if;
  foreach parent in array array['message_states', 'records', 'message_events']
  loop
    part := format('%s_s%s', parent, archived.segment);
    execute format('alter table %I detach partition %I', parent, part);
    execute format('drop table %I', part);
  end loop;
  delete from decided_messages where message_id >= archived.first_message_id and message_id < archived.next_message_id;
  return true;
end
$function$
;

CREATE OR REPLACE FUNCTION public.due_decision(in_place destinations, in_hold_after integer, in_brake_after integer, in_ramp_ms bigint)
 RETURNS TABLE(state text, cause text)
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  -- So many failures in a row are no chance, even where a payment in fifty fails.
  ramp_failures_min constant int := 5;
  due text;
begin
  due := case
    when in_place.state in ('flowing', 'ramping') and in_hold_after > 0 and in_place.failures >= least(in_hold_after, case
        when in_place.state = 'ramping' and in_place.is_answered
          then greatest(ramp_failures_min, ramp_room(clock_timestamp() - in_place.since))
        when in_place.state = 'ramping' then 1
      end) then 'held failures'
    when in_place.state in ('flowing', 'ramping') and in_brake_after > 0 and in_place.refusals >= in_brake_after
      then 'held refusals'
    when in_place.state = 'held' and in_place.probes >= 3 then 'ramping probes'
    when in_place.state = 'paused' and in_place.until <= clock_timestamp() then 'ramping until'
    -- A clock that was set back may leave the beginning of a ramp in the future.
    when in_place.state = 'ramping' and (in_place.since + in_ramp_ms * interval '1 millisecond' <= clock_timestamp()
        or in_place.since > clock_timestamp()) then 'flowing ramped'
    -- A clock that was set back may leave the beginning in the future.
    when throttle_ends_at(in_place) <= clock_timestamp() or in_place.throttled_at > clock_timestamp() + interval '60 seconds'
      then in_place.state || ' unthrottled'
    end;
  state := split_part(due, ' ', 1);
  cause := split_part(due, ' ', 2);
  return next;
end
$function$
;

CREATE OR REPLACE FUNCTION public.earliest_due(in_queue text, in_is_slow boolean, in_look_from timestamp with time zone)
 RETURNS timestamp with time zone
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
AS $function$
begin
  if in_is_slow is null then
    return (
      select s.due_at from message_states s
      where s.queue = in_queue and s.due_at is not null and s.due_at >= in_look_from
      order by s.due_at limit 1
    );
  elsif in_is_slow then
    return (
      select s.due_at from message_states s
      where s.queue = 'failed' and s.is_slow and s.due_at is not null and s.due_at >= in_look_from
      order by s.due_at limit 1
    );
  else
    return (
      select s.due_at from message_states s
      where s.queue = 'failed' and not s.is_slow and s.due_at is not null and s.due_at >= in_look_from
      order by s.due_at limit 1
    );
  end if;
end
$function$
;

CREATE OR REPLACE FUNCTION public.end_forgotten(in_queue text, in_actor text, in_at timestamp with time zone, in_lease_ms bigint, in_key_window_ms bigint, in_inquires boolean)
 RETURNS TABLE(kind text, message_id bigint, attempt integer, retry_count integer, transaction_id text, payload bytea, traceparent text, age_ms double precision, lease_ends_at bigint)
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
AS $function$
#variable_conflict use_column
declare
  among constant int := 500;
  doubtful message_states[] := array(
    select d from lock_due(
      in_queue => in_queue,
      in_is_slow => null,
      in_room => among,
      in_at => in_at,
      in_look_from => '-infinity') d
    where d.outcome_unknown);
  forgotten message_states[];
begin
  -- A statement of its own, because it sees what was decided about them before they were locked, such as a replay that says that a payment was
  -- not carried out.
  select array_agg(d) into forgotten
    from unnest(doubtful) d
    where next_step(d.message_id, greatest(in_at, d.recorded_at), in_lease_ms, in_key_window_ms, in_inquires) = 'forget';
  if forgotten is not null then
    return query select * from append_forgotten(forgotten, in_actor, in_at);
  end if;
end
$function$
;

CREATE OR REPLACE FUNCTION public.enter_destination(in_destination text)
 RETURNS destinations
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
AS $function$
declare
  found destinations;
begin
  perform pg_advisory_xact_lock_shared(hashtextextended('destination ' || in_destination, 0));
  -- A statement of its own, because it sees what was decided while the one above waited.
  select * into found from destinations d where d.destination = in_destination;
  if found.destination is null then
    raise exception 'there is no destination %', in_destination
      using errcode = 'integrity_constraint_violation', hint = 'npm run rebuild';
  end if;
  return found;
end
$function$
;

CREATE OR REPLACE FUNCTION public.event_measure(in_type text, in_outcome text, in_begins boolean, in_succeeds boolean)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select case in_type
    when 'received' then 'received'
    when 'attempt_started' then 'attempts'
    when 'succeeded' then 'succeeded'
    when 'attempt_failed' then in_outcome
    when 'attempt_abandoned' then 'abandoned'
    when 'dead_lettered' then 'dead_lettered'
    when 'cancelled' then 'dead_lettered'
    when 'replayed' then 'replayed'
    when 'duplicate_received' then 'duplicates'
    when 'conflict_received' then case when in_begins then 'conflicts' end
    when 'rejected' then 'rejected'
    when 'late_result_observed' then case when in_succeeds then 'succeeded' end
  end
$function$
;

CREATE OR REPLACE FUNCTION public.expired(in_reconnected_at timestamp with time zone, in_grace_ms bigint, in_look_from timestamp with time zone, in_rows_max integer, in_spared text[] DEFAULT '{}'::text[])
 RETURNS TABLE(message_id bigint, attempt integer, retry_count integer, in_a_row boolean, transaction_id text, lease_ends_at bigint, claimed_by text, is_listening boolean)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
AS $function$
#variable_conflict use_column
declare
  looked_at timestamptz := clock_timestamp();
  listening text[];
begin
  if lease_ends_at('-infinity', in_reconnected_at, in_grace_ms) > looked_at then
    return;
  end if;
  perform note_overdue(in_look_from, looked_at);
  listening := listening_instances();
  return query
  select s.message_id, s.attempts, s.retry_count, abandoned_before(s.message_id, s.attempts), s.transaction_id::text,
    lease_micros(s.lease_ends_at), s.claimed_by, split_part(s.claimed_by, '/', 1) = any (listening)
  from overdue_attempts o
  join message_states s on s.message_id = o.message_id and s.status = 'processing' and s.lease_ends_at = o.lease_ends_at
  where o.lease_ends_at <= looked_at and split_part(s.claimed_by, '/', 1) <> all (in_spared)
  order by s.lease_ends_at, s.message_id
  limit in_rows_max;
end
$function$
;

CREATE OR REPLACE FUNCTION public.expunge(in_transaction_ids text[], in_actor text, in_reason text)
 RETURNS TABLE(place bigint, answer text, version integer, status text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
#variable_conflict use_column
declare
  ids bigint[];
  targets bigint[];
begin
  if coalesce(btrim(in_actor), '') = '' or coalesce(btrim(in_reason), '') = '' then
    raise exception 'to expunge takes an actor and a reason' using errcode = 'invalid_parameter_value';
  end if;
  ids := array(
    select i.message_id
    from unnest(in_transaction_ids) with ordinality as u (transaction_id, place)
    left join lateral (
      select b.message_id from inbox b where b.transaction_id = u.transaction_id collate "C" limit 1
    ) i on true
    order by u.place
  );
  -- In the order of message ids, as everywhere. A replay takes the same lock, so that of the two only the first one is done.
  perform from message_states s where s.message_id = any (ids) order by s.message_id for no key update;
  -- A statement of its own, because it sees what the other request did that the one above waited for.
  targets := array(
    select s.message_id from message_states s
    where s.message_id = any (ids) and s.status in ('success', 'dead_letter')
      and not exists (select from message_events e where e.message_id = s.message_id and e.type = 'expunged')
  );
  perform append_expunged(targets, in_actor, in_reason);
  return query
  select u.place,
    case
      when m.version is null then 'unknown'
      when x.version is null then 'open'
      when u.message_id = any (targets) and row_number() over (partition by u.message_id order by u.place) = 1 then 'expunged'
      else 'already'
    end,
    coalesce(x.version, m.version), m.status
  from unnest(ids) with ordinality as u (message_id, place)
  left join lateral (
    select s.version, s.status from message_states s where s.message_id = u.message_id limit 1
  ) m on true
  left join lateral (
    select e.version from message_events e where e.message_id = u.message_id and e.type = 'expunged' limit 1
  ) x on true
  order by u.place;
end
$function$
;

CREATE OR REPLACE FUNCTION public.expunge_aged(in_retain_ms bigint, in_actor text, in_reason text, in_events_max bigint)
 RETURNS TABLE(expunged integer, held integer, more boolean)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
declare
  aged_until timestamptz := clock_timestamp() - in_retain_ms * interval '1 millisecond';
  -- With so many held back, the walk waits until they are free.
  held_max constant int := 1000;
  walked payload_retention;
  walked_ids bigint[] := '{}';
  walked_events bigint := 0;
  candidates bigint[];
  locked bigint[];
  aged bigint[];
begin
  expunged := 0;
  held := 0;
  more := false;
  if in_retain_ms <= 0 then
    raise exception 'a retention of % ms' , in_retain_ms using errcode = 'invalid_parameter_value';
  end if;
  insert into payload_retention (position, message_id, version, held_back)
    select 0, 0, 0, '{}' where not exists (select from payload_retention)
    on conflict do nothing;
  select * into walked from payload_retention for no key update skip locked;
  if not found then
    return next;
    return;
  end if;
  if cardinality(walked.held_back) < held_max then
    with ahead as materialized (
      select (r.event).message_id, (r.event).version, (r.event).position, r.place,
        -- An event that is old enough may follow one that is not: another session's clock_timestamp() was earlier.
        bool_and((r.event).recorded_at <= aged_until) over (order by r.place) as is_aged
      from read_log(
        in_after_position => walked.position,
        in_after_message_id => walked.message_id,
        in_after_version => walked.version,
        in_before_position => 9223372036854775807,
        in_before_message_id => 0,
        in_before_version => 0,
        in_backwards => false,
        in_examined_max => in_events_max,
        in_rows_max => in_events_max,
        in_types => null,
        in_outcomes => null,
        in_actor => null,
        in_recorded_from => null,
        in_recorded_to => null) r
    )
    select count(*), coalesce(array_agg(distinct a.message_id), '{}'),
      (array_agg(a.position order by a.place desc))[1], (array_agg(a.message_id order by a.place desc))[1],
      (array_agg(a.version order by a.place desc))[1]
      into walked_events, walked_ids, walked.position, walked.message_id, walked.version
      from ahead a where a.is_aged;
    more := walked_events = in_events_max;
  end if;
  candidates := walked_ids || walked.held_back;
  -- In the order of message ids, as everywhere. Nothing is waited for: who holds a message may hold it for hours.
  locked := array(
    select l.message_id from (
      select s.message_id from message_states s
      where s.message_id = any (candidates) and s.status in ('success', 'dead_letter') and s.updated_at <= aged_until
      order by s.message_id for no key update skip locked
    ) l
  );
  -- A statement of its own, because it sees what was committed before the locks were taken.
  aged := array(
    select s.message_id from message_states s
    where s.message_id = any (candidates) and s.status in ('success', 'dead_letter') and s.updated_at <= aged_until
      and not exists (select from message_events e where e.message_id = s.message_id and e.type = 'expunged')
  );
  walked.held_back := array(select a.message_id from unnest(aged) as a(message_id) where a.message_id <> all (locked));
  aged := array(select a.message_id from unnest(aged) as a(message_id) where a.message_id = any (locked));
  perform append_expunged(aged, in_actor, in_reason);
  if walked_events > 0 then
    update payload_retention set position = walked.position, message_id = walked.message_id, version = walked.version,
      held_back = walked.held_back;
  else
    update payload_retention set held_back = walked.held_back where held_back <> walked.held_back;
  end if;
  expunged := cardinality(aged);
  held := cardinality(walked.held_back);
  return next;
end
$function$
;

CREATE OR REPLACE FUNCTION public.expunge_only()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
AS $function$
declare
  expunged records := old;
begin
  expunged.key := null;
  expunged.headers := null;
  expunged.traceparent := null;
  expunged.payload := null;
  expunged.payload_state := 'expunged';
  -- Type json has no equality, so `=` does not compare such rows.
  if new *= expunged and exists (
    select from message_events e where e.message_id = old.message_id and e.type = 'expunged' and e.version > old.version
  ) then
    return new;
  end if;
  raise exception 'update on records is refused: the log is append-only' using errcode = 'insufficient_privilege',
    hint = 'select * from expunge(array[''the transaction id''], ''who'', ''why'')';
end
$function$
;

CREATE OR REPLACE FUNCTION public.failure_pattern(in_reason text)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE STRICT
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  -- An identity may be any text. It is found by the words that ingest writes before it.
  pattern text := regexp_replace(in_reason, '^(the same transaction id with other bytes: ).*', '\1<id>');
begin
  -- Most reasons have no digit but a status. They need nothing of what follows.
  if replace(pattern, 'HTTP ', '') !~ '[0-9]' or pattern ~ '^HTTP [0-9]{3}[^0-9]*$' then
    return left(pattern, 500);
  end if;
  -- First words that mix letters and digits, such as UUIDs; then the remaining numbers.
  pattern := regexp_replace(pattern, '(?<![A-Za-z0-9_-])(?=[A-Za-z0-9_-]*[0-9])(?=[A-Za-z0-9_-]*[A-Za-z])'
    '(?![A-Z][A-Z0-9]*(_[A-Z][A-Z0-9]*)+(?![A-Za-z0-9_-]))[A-Za-z0-9_-]+', '<id>', 'g');
  return left(regexp_replace(pattern, '(?<![A-Za-z0-9_])(?<!HTTP )[0-9]+([.,:-][0-9]+)*', '<n>', 'g'), 500);
end
$function$
;

CREATE OR REPLACE FUNCTION public.failure_shape(in_reason text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select case
    when strpos(in_reason, '_') > 0 or strpos(substr(in_reason, 2), 'HTTP ') > 0 then in_reason
    when not starts_with(in_reason, 'HTTP ') then regexp_replace(in_reason, '[0-9]+', '0', 'g')
    -- A status has three digits. A longer number is left alone.
    when substr(in_reason, 9, 1) between '0' and '9' then in_reason
    else left(in_reason, 8) || regexp_replace(substr(in_reason, 9), '[0-9]+', '0', 'g')
  end
$function$
;

CREATE OR REPLACE FUNCTION public.find_origins(in_message_ids bigint[], in_headers_max integer)
 RETURNS TABLE(message_id bigint, traceparent text, headers text, request_key text, is_replayed boolean)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
#variable_conflict use_column
begin
  return query
  select r.message_id, r.traceparent, r.headers, e.request_key, e.version is not null
  from unnest(in_message_ids) as m(message_id)
  cross join lateral (
    select p.message_id, p.traceparent,
      case when p.traceparent is not null and length(p.headers::text) <= in_headers_max and p.headers::text like '%"tracestate"%'
        then p.headers::text end as headers
    from records p where p.message_id = m.message_id and p.version = 1 limit 1
  ) r
  left join lateral (
    select v.version, v.request_key from message_events v
    where v.message_id = m.message_id and v.type = 'replayed' order by v.version desc limit 1
  ) e on true;
end
$function$
;

CREATE OR REPLACE FUNCTION public.finish_plan(in_plan bigint, in_actor text, in_reason text, in_filter jsonb, in_dead_letters bigint, in_outcome_unknown bigint, in_past_key_window bigint, in_by_pattern jsonb, in_by_cause jsonb, in_not_replayable jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  -- The time by which the plan counted what is past the window of its key: a job confirms just those (work_ids).
  planned_at constant timestamptz := transaction_timestamp();
begin
  insert into replay_plans (plan, planned_at, expires_at, actor, reason, filter, dead_letters, outcome_unknown, past_key_window, by_pattern,
      by_cause, not_replayable)
    values (in_plan, planned_at, planned_at + interval '1 hour', in_actor, in_reason, in_filter, in_dead_letters, in_outcome_unknown,
      in_past_key_window, in_by_pattern, in_by_cause, in_not_replayable);
end
$function$
;

CREATE OR REPLACE FUNCTION public.fold_failures(in_old_bound bigint, in_new_bound bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  with gone as (
    delete from failure_deltas where position >= in_old_bound and position < in_new_bound returning *
  )
  insert into failure_rollups as r (minute, pattern, n, last_at, examples)
    select a.minute, g.pattern, sum(g.n), max(g.last_at), example_ids(g.examples)
    from gone g
    cross join aged_below() b
    cross join lateral (select aged_minute(g.minute, b.hours_below, b.days_below) as minute) a
    group by a.minute, g.pattern
    order by a.minute, g.pattern
  on conflict (minute, pattern) do update set
    n = r.n + excluded.n,
    last_at = greatest(r.last_at, excluded.last_at),
    examples = merge_examples(r.examples, excluded.examples);
end
$function$
;

CREATE OR REPLACE FUNCTION public.fold_partitions()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  insert into partition_folds as f (partition_id, first_offset, next_offset, received, duplicates, conflicts, rejected, holes,
      gaps)
    select p.partition_id, a.first_offset, a.next_offset, a.received, a.duplicates, a.conflicts, a.rejected, a.holes,
      a.gaps
    from partitions p
    left join partition_folds o on o.partition_id = p.partition_id
    cross join lateral sum_advances(p.partition_id, coalesce(o.next_offset, -1)) a
    where a.next_offset is not null
  on conflict (partition_id) do update set
    next_offset = excluded.next_offset,
    received = f.received + excluded.received,
    duplicates = f.duplicates + excluded.duplicates,
    conflicts = f.conflicts + excluded.conflicts,
    rejected = f.rejected + excluded.rejected,
    holes = f.holes + excluded.holes,
    gaps = f.gaps + excluded.gaps;
end
$function$
;

CREATE OR REPLACE FUNCTION public.fold_piece(in_rows_min integer DEFAULT 1, in_piece_rows integer DEFAULT 10000)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
AS $function$
declare
  old_fold status_count_folds;
  reached bigint;
  new_bound bigint;
begin
  select * into strict old_fold from status_count_folds order by bound desc limit 1;
  if (
    select count(*) from (select from status_count_deltas where position >= old_fold.bound limit in_rows_min) d
  ) < in_rows_min then
    return false;
  end if;
  if not pg_try_advisory_xact_lock(hashtextextended('fold_counts', 0)) then
    return false;
  end if;
  perform fold_partitions();
  -- Read again: another fold may have ended before this one got the lock.
  select * into strict old_fold from status_count_folds order by bound desc limit 1;
  reached := watermark();
  -- Up to the first delta that is too many. A position is never divided.
  new_bound := least(
    reached,
    (
      select greatest(d.position, f.position + 1)
      from (
        select position from status_count_deltas where position >= old_fold.bound order by position offset in_piece_rows limit 1
      ) d
      cross join (select position from status_count_deltas where position >= old_fold.bound order by position limit 1) f
    ),
    (
      select greatest(d.position, f.position + 1)
      from (select position from failure_deltas where position >= old_fold.bound order by position offset in_piece_rows limit 1) d
      cross join (select position from failure_deltas where position >= old_fold.bound order by position limit 1) f
    )
  );
  if not exists (select from status_count_deltas where position >= old_fold.bound and position < reached) then
    return false;
  end if;
  perform fold_failures(old_fold.bound, new_bound);
  with gone as (
    delete from status_count_deltas where position >= old_fold.bound and position < new_bound returning *
  ),
  summed as (
    insert into rollups as r (minute, measure, bucket, n)
      select a.minute, u.measure, u.bucket, case when is_maximum(u.measure) then max(u.n) else sum(u.n) end
      from gone g
      cross join aged_below() b
      cross join lateral unnest(g.minutes, g.measures, g.buckets, g.counts) as u(minute, measure, bucket, n)
      cross join lateral (select aged_minute(u.minute, b.hours_below, b.days_below) as minute) a
      group by a.minute, u.measure, u.bucket
      order by a.minute, u.measure, u.bucket
    on conflict (minute, measure, bucket) do update
      set n = case when is_maximum(r.measure) then greatest(r.n, excluded.n) else r.n + excluded.n end
  )
  insert into status_count_folds (bound, pending, processing, success, failed, dead_letter)
    select new_bound, old_fold.pending + coalesce(sum(pending), 0), old_fold.processing + coalesce(sum(processing), 0),
      old_fold.success + coalesce(sum(success), 0), old_fold.failed + coalesce(sum(failed), 0),
      old_fold.dead_letter + coalesce(sum(dead_letter), 0)
    from gone;
  delete from status_count_folds where bound < new_bound;
  return new_bound < reached;
end
$function$
;

CREATE OR REPLACE FUNCTION public.forget_plans()
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  forgotten bigint;
begin
  with expired as (
    select p.plan from replay_plans p
    where p.expires_at < clock_timestamp() and not exists (select from replay_jobs j where j.job = p.plan)
    for update skip locked
  )
  delete from replay_plans p using expired e where p.plan = e.plan;
  get diagnostics forgotten = row_count;
  return forgotten;
end
$function$
;

CREATE OR REPLACE FUNCTION public.forget_positions(in_above bigint, in_rows_max integer)
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
AS $function$
declare
  reached bigint;
  -- Segments that follow each other are one range here, so an id is compared with few ranges and not with each archive.
  archived_ids int8multirange := (
    select range_agg(int8range(a.first_message_id, a.next_message_id)) from segment_archives a
  );
  archived_to bigint := (select max(a.highest_position) from segment_archives a);
begin
  select max(l.position) into reached from (
    select p.position from event_positions p
    where p.position > in_above and p.position <= archived_to
    order by p.position limit in_rows_max
  ) l;
  delete from event_positions p
    where p.position > in_above and p.position <= reached
      and p.position < (select l.position from event_positions l order by l.position desc limit 1)
      and not exists (select from unnest(p.message_ids) as m(message_id) where not archived_ids @> m.message_id);
  return reached;
end
$function$
;

CREATE OR REPLACE FUNCTION public.free_slots(in_place destinations, in_at timestamp with time zone, OUT slots integer, OUT first_at timestamp with time zone, OUT free_at timestamp with time zone)
 RETURNS record
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  pace record := pace_of(in_place, in_at);
begin
  -- A clock that was set back must not make anybody wait for as long.
  if in_place.not_before > in_at and in_place.not_before <= in_at + interval '60 seconds' then
    slots := 0;
    first_at := in_place.not_before;
    free_at := in_place.not_before;
    return;
  end if;
  if pace.rate is null then
    return;
  end if;
  -- A clock that was set back by more than what the checker takes for a step: what was planned is of another time.
  first_at := case
    when in_place.slots_since > in_at + interval '5 seconds' then in_at + (pace.burst - 1) / pace.rate * interval '1 second'
    else greatest(in_at, in_place.next_slot_at) end;
  slots := least(1e9, greatest(0, 1 + floor(pace.burst - 1 - extract(epoch from first_at - in_at)::double precision * pace.rate + 1e-6)));
  free_at := first_at + (slots + 1 - pace.burst) / pace.rate * interval '1 second';
end
$function$
;

CREATE OR REPLACE FUNCTION public.freeze_ids(in_plan bigint, in_is_replayable boolean, in_piece integer, in_message_ids bigint[], in_versions integer[])
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  if exists (select from replay_plans p where p.plan = in_plan) then
    raise exception 'plan % is finished', in_plan using errcode = 'invalid_parameter_value';
  end if;
  insert into replay_plan_ids (plan, is_replayable, piece, message_ids, versions)
    values (in_plan, in_is_replayable, in_piece, in_message_ids, in_versions);
  return cardinality(in_message_ids);
end
$function$
;

CREATE OR REPLACE FUNCTION public.grant_access(in_service name)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  owners oid[] := array(select relowner from pg_class where oid = 'message_events'::regclass) || current_user::regrole::oid;
  is_other boolean := in_service is not null and in_service::regrole <> all (owners);
  losers text := case when is_other then format('public, %I', in_service) else 'public' end;
  ours record;
begin
  -- A role that may create functions in our schema could have them called as the owner.
  execute format('revoke create on schema public from %s', losers);
  if is_other then
    execute format('grant usage on schema public to %I', in_service);
  end if;
  for ours in
    select case c.relkind when 'S' then 'sequence' else 'table' end as kind, c.oid::regclass::text as name,
      case when c.relkind <> 'S' then 'select' end as needed
    from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relowner = any (owners) and c.relkind in ('r', 'p', 'v', 'm', 'S')
      and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
    union all
    select 'routine', p.oid::regprocedure::text, case when p.prosecdef or p.provolatile <> 'v' then 'execute' end
    from pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.proowner = any (owners)
      and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
    order by 1, 2
  loop
    execute format('revoke all on %s %s from %s', ours.kind, ours.name, losers);
    if is_other and ours.needed is not null then
      execute format('grant %s on %s %s to %I', ours.needed, ours.kind, ours.name, in_service);
    end if;
  end loop;
end
$function$
;

CREATE OR REPLACE FUNCTION public.has_open_probe(in_place destinations, in_at timestamp with time zone)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
AS $function$
begin
  if in_place.probe_message_id is null then
    return false;
  end if;
  if in_place.probe_attempt is null then
    return coalesce(in_place.probe_ends_at > in_at, false)
      -- No lease is longer: the clock was set back since.
      and (in_place.probe_ends_at > in_at + (select max(i.lease_ms) from instances i) * interval '1 millisecond') is not true;
  end if;
  return exists (
    select from message_states m
    where m.message_id = in_place.probe_message_id and m.status = 'processing' and m.attempts = in_place.probe_attempt
  );
end
$function$
;

CREATE OR REPLACE FUNCTION public.ingest(in_topic text, in_partition integer, in_incarnation integer, in_first bigint, in_next bigint, in_actor text, in_room integer, in_lane text, in_lease_ms bigint, in_offsets bigint[], in_transaction_ids text[], in_rejections text[], in_payload_hashes bytea[], in_payloads bytea[], in_payload_states text[], in_payload_sizes integer[], in_are_json boolean[], in_keys bytea[], in_headers text[], in_traceparents text[], in_timestamps_ms bigint[], in_hole_firsts bigint[], in_hole_nexts bigint[], in_begins bigint DEFAULT NULL::bigint)
 RETURNS TABLE(answer text, next_offset bigint, reason text, results text, message_ids bigint[], claimed integer, lease_ends_at bigint)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
declare
  room int := 0;
  target destinations;
  held_partition int;
  stored bigint;
  is_ended boolean;
  minted bigint[];
  known boolean := false;
  written_at timestamptz;
  written_position bigint;
  place int;
  original bigint;
begin
  if in_room > 0 then
    target := enter_destination('default');
    -- Where there is a pace, only a look takes slots.
    room := case when target.state = 'flowing' and target.rate_limit is null and target.throttled_at is null then in_room else 0 end;
  end if;
  loop
    select p.partition_id into held_partition from partitions p
      where p.topic = in_topic and p.partition = in_partition and p.incarnation = in_incarnation for no key update;
    exit when found;
    -- Only an operator begins a later incarnation.
    if in_incarnation <> 1 then
      raise exception 'partition %:% has no incarnation %', in_topic, in_partition, in_incarnation;
    end if;
    insert into partitions (topic, partition) values (in_topic, in_partition)
      on conflict (topic, partition, incarnation) do nothing;
  end loop;
  -- A statement of its own: a statement that locks and reads returns the value from before its wait (measured).
  select coalesce((
        select a.next_offset from partition_advances a
        where a.partition_id = p.partition_id order by a.next_offset desc limit 1
      ), p.begins_at, in_begins, in_first),
      exists (
        select from partitions l
        where l.topic = in_topic and l.partition = in_partition and l.incarnation = in_incarnation + 1
      ),
      (select case when d.type = 'stopped' then d.reason end from partition_decisions d
        where d.partition_id = p.partition_id order by d.decision desc limit 1)
    into stored, is_ended, reason
    from partitions p where p.partition_id = held_partition;
  next_offset := stored;
  if is_ended or reason is not null then
    answer := case when is_ended then 'ended' else 'stopped' end;
    return next;
    return;
  end if;
  if in_first > stored then
    answer := 'ahead';
    return next;
    return;
  end if;
  next_offset := greatest(stored, in_next);
  answer := 'stored';
  claimed := 0;
  if in_next <= stored then
    results := repeat('s', cardinality(in_offsets));
    return next;
    return;
  end if;

  written_at := clock_timestamp();
  written_position := current_position();
  minted := array(select nextval('message_ids') from generate_series(1, cardinality(in_offsets)));
  -- The sweep makes segments ahead of need. Without a sweep the log must go on all the same.
  if coalesce((select l.next_message_id from log_segments l order by l.segment desc limit 1), 0)
      <= minted[cardinality(minted)] then
    perform make_segments();
  end if;
  -- First a plain insert, because nearly every slice has new ids only: 7 µs a message less than ON CONFLICT (measured).
  begin
    insert into inbox (transaction_id, message_id, payload_sha256)
      select r.transaction_id, r.message_id, r.hash
      from unnest(in_transaction_ids, minted, in_payload_hashes, in_offsets) as r(transaction_id, message_id, hash, kafka_offset)
      where r.kafka_offset >= stored
      order by r.transaction_id collate "C";
  exception when unique_violation then
    -- Whatever the index is called: REINDEX CONCURRENTLY leaves the old one in force under another name, for as long as anybody reads.
    known := true;
  end;
  if known then
    insert into inbox (transaction_id, message_id, payload_sha256)
      select distinct on (r.transaction_id collate "C") r.transaction_id, r.message_id, r.hash
      from unnest(in_transaction_ids, minted, in_payload_hashes, in_offsets) as r(transaction_id, message_id, hash, kafka_offset)
      where r.kafka_offset >= stored
      order by r.transaction_id collate "C", r.kafka_offset
      on conflict (transaction_id) do nothing;
  end if;
  -- A statement of its own, because it sees who won an id that two partitions brought at the same time.
  if known then
    select coalesce(string_agg(
        case when r.kafka_offset < stored then 's'
          when i.message_id = r.message_id then case when r.rejection is null then 'r' else 'x' end
          when i.payload_sha256 = r.hash then 'd'
          else 'c' end, '' order by r.place), '')
      into results
      from unnest(in_transaction_ids, minted, in_payload_hashes, in_offsets, in_rejections) with ordinality
        as r(transaction_id, message_id, hash, kafka_offset, rejection, place)
      left join lateral (
        select b.message_id, b.payload_sha256 from inbox b where b.transaction_id = r.transaction_id collate "C" limit 1
      ) i on true;
    -- A conflicting record is a message of its own. Its id is made from its coordinates, so nobody else inserts it.
    insert into inbox (transaction_id, message_id, payload_sha256)
      select record_id(in_topic, in_partition, in_incarnation, r.kafka_offset), r.message_id, r.hash
      from unnest(minted, in_payload_hashes, in_offsets, string_to_array(results, null))
        as r(message_id, hash, kafka_offset, result)
      where r.result = 'c';
  else
    -- A slice may be one hole and have no record.
    select coalesce(string_agg(case when r.kafka_offset < stored then 's' when r.rejection is null then 'r' else 'x' end, ''
        order by r.place), '')
      into results
      from unnest(in_offsets, in_rejections) with ordinality as r(kafka_offset, rejection, place);
  end if;

  insert into records (message_id, version, key, headers, traceparent, timestamp_ms, payload, payload_state, payload_bytes,
      is_json)
    select r.message_id, 1, r.key, r.headers::json, r.traceparent, r.timestamp_ms, r.payload, r.payload_state, r.payload_bytes,
      r.is_json
    from unnest(minted, in_keys, in_headers, in_traceparents, in_timestamps_ms, in_payloads, in_payload_states,
        in_payload_sizes, in_are_json, string_to_array(results, null))
      as r(message_id, key, headers, traceparent, timestamp_ms, payload, payload_state, payload_bytes, is_json, result)
    where r.result in ('r', 'x', 'c');

  -- Version 1 of every new message and, while there is room, version 2, in one statement. So the trigger runs once and writes
  -- one row for each message.
  insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, attempt,
      reason, topic, partition, kafka_offset, incarnation, payload_sha256, transaction_id, related_message_id)
    select r.message_id, e.version, written_position, written_at, e.type, e.actor, e.status, 0, e.due_at, e.attempt, e.reason,
      e.topic, e.partition, e.kafka_offset, e.incarnation, e.hash, e.transaction_id, e.related_message_id
    from (
      select u.*, count(*) filter (where u.result = 'r') over (order by u.place) as nth
      from unnest(minted, in_transaction_ids, in_rejections, in_payload_hashes, in_offsets, string_to_array(results, null))
        with ordinality as u(message_id, transaction_id, rejection, hash, kafka_offset, result, place)
    ) r
    cross join lateral (
      select 1 as version,
        case r.result when 'r' then 'received' when 'x' then 'rejected' else 'conflict_received' end as type,
        in_actor as actor,
        case r.result when 'r' then 'pending' else 'dead_letter' end as status,
        case r.result when 'r' then written_at end as due_at,
        null::int as attempt,
        case r.result when 'x' then r.rejection
          when 'c' then format('the same transaction id with other bytes: %s', r.transaction_id) end as reason,
        in_topic as topic, in_partition as partition, r.kafka_offset, in_incarnation as incarnation, r.hash,
        case r.result when 'c' then record_id(in_topic, in_partition, in_incarnation, r.kafka_offset)
          else r.transaction_id end as transaction_id,
        case r.result when 'c' then (
          select b.message_id from inbox b where b.transaction_id = r.transaction_id collate "C" limit 1
        ) end as related_message_id
      union all
      select 2, 'attempt_started', in_lane, 'processing', written_at + in_lease_ms * interval '1 millisecond', 1, null,
        null, null, null, null, null, null, null
      where r.result = 'r' and r.nth <= room
    ) e
    where r.result in ('r', 'x', 'c')
    order by 1, 2;
  perform refuse_unprojected();

  if known then
    for place, original in
      select r.place, b.message_id
      from unnest(in_transaction_ids, string_to_array(results, null)) with ordinality as r(transaction_id, result, place)
      cross join lateral (
        select i.message_id from inbox i where i.transaction_id = r.transaction_id collate "C" limit 1
      ) b
      where r.result in ('d', 'c')
      order by b.message_id, r.place
    loop
      perform append_record_event(
        in_message_id => original,
        in_actor => in_actor,
        in_topic => in_topic,
        in_partition => in_partition,
        in_incarnation => in_incarnation,
        in_offset => in_offsets[place],
        in_hash => in_payload_hashes[place],
        in_conflicting_id => case when substr(results, place, 1) = 'c' then minted[place] end,
        in_key => in_keys[place],
        in_headers => in_headers[place],
        in_traceparent => in_traceparents[place],
        in_timestamp_ms => in_timestamps_ms[place],
        in_payload_bytes => in_payload_sizes[place]);
    end loop;
  end if;

  if cardinality(in_hole_firsts) > 0 then
    insert into partition_holes (partition_id, first_offset, next_offset, recorded_at, actor)
      select held_partition, greatest(h.first_offset, stored), h.next_offset, written_at, in_actor
      from unnest(in_hole_firsts, in_hole_nexts) as h(first_offset, next_offset)
      where h.next_offset > stored;
  end if;
  insert into partition_advances (partition_id, first_offset, next_offset, received, duplicates, conflicts, rejected, holes,
      first_message_id, last_message_id, recorded_at, actor)
    select held_partition, stored, in_next, c.received, c.duplicates, c.conflicts, c.rejected,
      in_next - stored - c.received - c.duplicates - c.conflicts - c.rejected, minted[1], minted[cardinality(minted)],
      written_at, in_actor
    from (
      select count_letter(results, 'r') as received, count_letter(results, 'd') as duplicates,
        count_letter(results, 'c') as conflicts, count_letter(results, 'x') as rejected
    ) c;
  message_ids := minted;
  claimed := least(room, count_letter(results, 'r'));
  lease_ends_at := lease_micros(written_at + in_lease_ms * interval '1 millisecond');
  return next;
end
$function$
;

CREATE OR REPLACE FUNCTION public.is_decision(in_type text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select in_type in ('held', 'released', 'cancelled', 'resolved', 'reopened', 'late_result_observed')
$function$
;

CREATE OR REPLACE FUNCTION public.is_failure(in_type text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select in_type in ('attempt_failed', 'attempt_abandoned', 'rejected')
$function$
;

CREATE OR REPLACE FUNCTION public.is_maximum(in_measure text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select right(in_measure, 4) = '_max'
$function$
;

CREATE OR REPLACE FUNCTION public.is_slow(in_duration_ms integer)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select coalesce(in_duration_ms, 0) > 1000
$function$
;

CREATE OR REPLACE FUNCTION public.keep_archived_duplicate(in_message_id bigint, in_actor text, in_topic text, in_partition integer, in_incarnation integer, in_offset bigint, in_hash bytea, in_conflicting_id bigint, in_timestamp_ms bigint, in_payload_bytes integer)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
$function$
;

CREATE OR REPLACE FUNCTION public.keep_planned()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  if tg_op = 'DELETE' and tg_level = 'ROW' and not exists (select from replay_jobs j where j.job = old.plan) then
    return old;
  end if;
  raise exception '% on % is refused: what a job was started with stays', tg_op, tg_table_name
    using errcode = 'insufficient_privilege';
end
$function$
;

CREATE OR REPLACE FUNCTION public.keep_stray(in_actor text, in_transaction_id text, in_payload_sha256 bytea, in_attempt integer, in_lease_ends_at timestamp with time zone, in_outcome text, in_status_code integer, in_duration_ms integer, in_reason text, in_reference text DEFAULT NULL::text)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  insert into stray_outcomes (actor, transaction_id, payload_sha256, attempt, lease_ends_at, outcome, status_code, duration_ms,
      reason, reference)
    values (in_actor, in_transaction_id, in_payload_sha256, in_attempt, in_lease_ends_at, in_outcome, in_status_code,
      in_duration_ms, in_reason, in_reference)
    on conflict do nothing;
  perform place_strays(in_transaction_id);
  return not exists (
    select from stray_outcomes s
    where s.transaction_id = in_transaction_id and s.attempt = in_attempt and s.lease_ends_at = in_lease_ends_at
      and s.actor = in_actor
  );
end
$function$
;

CREATE OR REPLACE FUNCTION public.key_window_ends_at(in_message_id bigint, in_key_window_ms bigint)
 RETURNS timestamp with time zone
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  return (select d.first_at + in_key_window_ms * interval '1 millisecond' from doubt_of(in_message_id) d);
end
$function$
;

CREATE OR REPLACE FUNCTION public.lacks_probe(in_place destinations)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
AS $function$
declare
  looked_at constant timestamptz := clock_timestamp();
begin
  return in_place.state = 'held' and in_place.next_probe_at <= looked_at
    and not has_open_probe(in_place, looked_at)
    and coalesce(earliest_due('pending', null, '-infinity') > looked_at, true)
    and coalesce(earliest_due('failed', null, '-infinity') > looked_at, true);
end
$function$
;

CREATE OR REPLACE FUNCTION public.last_position()
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
AS $function$
begin
  return coalesce((select p.position from event_positions p order by p.position desc limit 1), 0);
end
$function$
;

CREATE OR REPLACE FUNCTION public.last_record(in_partition_id integer)
 RETURNS TABLE(kafka_offset bigint, payload_sha256 bytea)
 LANGUAGE sql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
  select e.kafka_offset, e.payload_sha256
  from (
    select p.topic, p.partition, p.incarnation, a.first_offset, a.next_offset, a.first_message_id, a.last_message_id
    from partitions p
    cross join lateral (
      select * from partition_advances s
      where s.partition_id = p.partition_id and s.received + s.duplicates + s.conflicts + s.rejected > 0
      order by s.next_offset desc limit 1
    ) a
    where p.partition_id = in_partition_id
  ) slice
  cross join lateral (
    (
      select m.kafka_offset, m.payload_sha256 from message_events m
      where m.message_id between slice.first_message_id and slice.last_message_id and m.version = 1
        and m.topic = slice.topic and m.partition = slice.partition and m.incarnation = slice.incarnation
    )
    union all
    (
      select d.kafka_offset, d.payload_sha256 from message_events d
      where d.topic = slice.topic and d.partition = slice.partition and d.type = 'duplicate_received'
        and d.kafka_offset >= slice.first_offset and d.kafka_offset < slice.next_offset and d.incarnation = slice.incarnation
      order by d.kafka_offset desc limit 1
    )
    union all
    (
      select d.kafka_offset, d.payload_sha256 from archived_duplicates d
      where d.topic = slice.topic and d.partition = slice.partition and d.incarnation = slice.incarnation
        and d.kafka_offset >= slice.first_offset and d.kafka_offset < slice.next_offset
      order by d.kafka_offset desc limit 1
    )
  ) e
  order by e.kafka_offset desc limit 1
$function$
;

CREATE OR REPLACE FUNCTION public.latency_bucket(in_micros double precision)
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select width_bucket(in_micros, array[
    100, 119, 142, 169, 200, 238, 283, 337, 400, 476, 566, 673, 800, 952, 1132, 1346, 1600, 1903, 2263, 2691, 3200,
    3806, 4526, 5382, 6400, 7611, 9051, 10764, 12800, 15222, 18102, 21527, 25600, 30444, 36204, 43054, 51200, 60888,
    72408, 86108, 102400, 121775, 144816, 172216, 204800, 243550, 289631, 344432, 409600, 487100, 579262, 688863,
    819200, 974199, 1158524, 1377725, 1638400, 1948397, 2317048, 2755450, 3276800, 3896794, 4634096, 5510899, 6553600,
    7793588, 9268191, 11021798, 13107200, 15587176, 18536381, 22043595, 26214400, 31174351, 37072761, 44087190,
    52428800, 62348702, 74145521, 88174380, 104857600, 124697404, 148291041, 176348760, 209715200, 249394808,
    296582081, 352697520, 419430400, 498789616, 593164161, 705395040, 838860800, 997579232, 1186328321, 1410790080,
    1677721600, 1995158464, 2372656641, 2821580159, 3355443200, 3990316928, 4745313282, 5643160317, 6710886400,
    7980633855, 9490626563, 11286320634, 13421772800, 15961267710, 18981253125, 22572641268, 26843545600, 31922535420,
    37962506250, 45145282536, 53687091200, 63845070839, 75925012500, 90290565071, 107374182400, 127690141678,
    151850024999, 180581130142, 214748364800, 255380283356, 303700049998, 361162260284, 429496729600, 510760566711,
    607400099996, 722324520568, 858993459200, 1021521133422, 1214800199991, 1444649041136, 1717986918400,
    2043042266843, 2429600399981, 2889298082271
  ]::double precision[])
$function$
;

CREATE OR REPLACE FUNCTION public.lease_ends_at(in_due_at timestamp with time zone, in_reconnected_at timestamp with time zone, in_grace_ms bigint)
 RETURNS timestamp with time zone
 LANGUAGE sql
 STABLE STRICT
AS $function$
  select greatest(in_due_at, greatest(pg_postmaster_start_time(), in_reconnected_at, (
      select c.recorded_at from server_changes c where c.from_timeline is not null order by c.epoch desc limit 1
    )) + in_grace_ms * interval '1 millisecond')
$function$
;

CREATE OR REPLACE FUNCTION public.lease_micros(in_lease_ends_at timestamp with time zone)
 RETURNS bigint
 LANGUAGE sql
 STABLE PARALLEL SAFE STRICT
AS $function$
  select (extract(epoch from in_lease_ends_at) * 1000000)::bigint
$function$
;

CREATE OR REPLACE FUNCTION public.listening_instances()
 RETURNS text[]
 LANGUAGE sql
 STABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
  select coalesce(array_agg(substr(a.application_name, length('transaction-queue-proxy listen ') + 1)), '{}')
  from pg_stat_activity a
  where a.datname = current_database() and a.application_name like 'transaction-queue-proxy listen %'
$function$
;

CREATE OR REPLACE FUNCTION public.lock_destination(in_destination text)
 RETURNS destinations
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET lock_timeout TO '200ms'
AS $function$
declare
  found destinations;
begin
  perform pg_advisory_xact_lock(hashtextextended('destination ' || in_destination, 0));
  -- A statement of its own, because it sees what was decided while the one above waited.
  select * into found from destinations d where d.destination = in_destination for no key update;
  if found.destination is null then
    raise exception 'there is no destination %', in_destination
      using errcode = 'integrity_constraint_violation', hint = 'npm run rebuild';
  end if;
  return found;
end
$function$
;

CREATE OR REPLACE FUNCTION public.lock_due(in_queue text, in_is_slow boolean, in_room integer, in_at timestamp with time zone, in_look_from timestamp with time zone, in_sure boolean DEFAULT false)
 RETURNS SETOF message_states
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
AS $function$
begin
  -- Three texts, because a plan finds an index only by a condition that is written out.
  if in_is_slow is null then
    return query
      select s.* from message_states s
      where s.queue = in_queue and s.due_at is not null and s.due_at <= in_at and s.due_at >= in_look_from
        and (not in_sure or not s.outcome_unknown)
      order by s.due_at, s.message_id
      limit in_room
      for no key update skip locked;
  elsif in_is_slow then
    return query
      select s.* from message_states s
      where s.queue = 'failed' and s.is_slow and s.due_at is not null and s.due_at <= in_at and s.due_at >= in_look_from
        and (not in_sure or not s.outcome_unknown)
      order by s.due_at, s.message_id
      limit in_room
      for no key update skip locked;
  else
    return query
      select s.* from message_states s
      where s.queue = 'failed' and not s.is_slow and s.due_at is not null and s.due_at <= in_at and s.due_at >= in_look_from
        and (not in_sure or not s.outcome_unknown)
      order by s.due_at, s.message_id
      limit in_room
      for no key update skip locked;
  end if;
end
$function$
;

CREATE OR REPLACE FUNCTION public.log_end()
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
AS $function$
declare
  last bigint;
begin
  select p.position into last from event_positions p where p.position < watermark() order by p.position desc limit 1;
  -- A new epoch may have no events yet. Its base keeps the end from being of an earlier epoch.
  return greatest(last, (select base from log_epochs order by epoch desc limit 1)) + 1;
end
$function$
;

CREATE OR REPLACE FUNCTION public.log_floor()
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
AS $function$
begin
  return greatest(
    (select position + 1 from event_positions order by position desc limit 1),
    (select position + 1 from status_count_deltas order by position desc limit 1),
    (select position + 1 from failure_deltas order by position desc limit 1),
    (select bound from status_count_folds order by bound desc limit 1),
    (select base + 1 from log_epochs order by epoch desc limit 1)
  );
end
$function$
;

CREATE OR REPLACE FUNCTION public.look_lane(in_status text, in_actor text, in_room integer, in_slow_room integer, in_bytes_max bigint, in_lease_ms bigint, in_statuses text[], in_look_from timestamp with time zone[], in_reconnected_at timestamp with time zone, in_grace_ms bigint, in_key_window_ms bigint DEFAULT NULL::bigint, in_inquires boolean DEFAULT false)
 RETURNS TABLE(kind text, message_id bigint, attempt integer, retry_count integer, transaction_id text, payload bytea, traceparent text, age_ms double precision, lease_ends_at bigint, is_slow boolean, status text, due_in_ms double precision, next_look_from text, last_position bigint)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
AS $function$
#variable_conflict use_column
declare
  target destinations := enter_destination('default');
  claimed_at timestamptz := clock_timestamp();
  is_paced boolean := target.rate_limit is not null or target.throttled_at is not null;
  is_probe boolean := target.state = 'held' and in_room > 0 and begin_probe('default', in_status, in_inquires);
  -- Fresh messages are in one order. Of retries the slow ones come first, because they are bounded. They take half of the room at most,
  -- because there may be room for one at a time only.
  kinds boolean[] := case when in_status = 'failed' and not is_probe then array[true, false]
    -- A probe should be an attempt, so what is not in doubt goes first.
    when is_probe and in_inquires then array[null::boolean, null] else array[null::boolean] end;
  -- How the lane's other messages are found: false for retries, null for fresh messages and for a probe, which may be any.
  is_slow_apart boolean := case when in_status = 'failed' and not is_probe then false end;
  room int := case when is_probe then 1 when target.state in ('flowing', 'ramping') then in_room else 0 end;
  slow_room int := in_slow_room;
  -- The slots that the lane may take; null if there is no pace.
  slots int;
  first_at timestamptz;
  claimed record;
  -- How many attempts were started.
  started int := 0;
  -- How many inquiries were started.
  asked int := 0;
  -- When the destination may let through what it does not let through now.
  next_through timestamptz;
  slot_at timestamptz;
  looked_at timestamptz;
  earliest timestamptz;
  overdue timestamptz;
  due_at timestamptz;
  -- When the earliest message of the lane's own status that may start is due.
  waits_since timestamptz;
  -- What is not committed yet is due at least 35 s after this.
  unseen_from timestamptz;
begin
  if is_paced and room > 0 and (
    earliest_due(in_status, is_slow_apart, case when is_probe then '-infinity' else in_look_from[1] end) <= claimed_at
    or is_slow_apart is not null and slow_room > 0 and earliest_due(in_status, true, '-infinity') <= claimed_at
  ) then
    -- Other lanes wait here until this transaction has ended.
    select * into target from destinations d where d.destination = target.destination for no key update;
    claimed_at := clock_timestamp();
    select s.slots, s.first_at, s.free_at into slots, first_at, slot_at from share_slots(target, in_status, claimed_at) s;
    room := least(room, slots);
  elsif is_paced then
    -- What comes between these statements must not start without a slot.
    room := 0;
  end if;
  -- With room for one alone, the one that is due first goes first.
  if room = 1 and kinds[1] and earliest_due('failed', false, in_look_from[1]) <= earliest_due('failed', true, '-infinity') then
    kinds := array[false, true];
  end if;
  if is_probe and room > 0 and in_key_window_ms is not null then
    return query select f.kind, f.message_id, f.attempt, f.retry_count, f.transaction_id, null::bytea, null::text, null::double precision,
        null::bigint, false, null::text, null::double precision, null::text, null::bigint
      from end_forgotten(
        in_queue => in_status,
        in_actor => in_actor,
        in_at => claimed_at,
        in_lease_ms => in_lease_ms,
        in_key_window_ms => in_key_window_ms,
        in_inquires => in_inquires) f;
  end if;
  for nth in 1 .. cardinality(kinds) loop
    for claimed in
      select c.* from claim(
        in_queue => in_status,
        in_is_slow => kinds[nth],
        in_actor => in_actor,
        in_room => case when kinds[nth] then least(slow_room, (room + 1) / 2) else room - started - asked end,
        in_bytes_max => in_bytes_max,
        in_lease_ms => in_lease_ms,
        in_claimed_at => claimed_at,
        in_look_from => case when kinds[nth] or is_probe then '-infinity' else in_look_from[1] end,
        in_key_window_ms => in_key_window_ms,
        in_inquires => in_inquires,
        in_sure => is_probe and nth < cardinality(kinds)) c
    loop
      if claimed.kind = 'claim' then
        started := started + 1;
      elsif claimed.kind = 'inquiry' then
        asked := asked + 1;
      end if;
      if kinds[nth] and claimed.kind <> 'forgotten' then
        slow_room := slow_room - 1;
      end if;
      return query select claimed.kind, claimed.message_id, claimed.attempt, claimed.retry_count, claimed.transaction_id,
        claimed.payload, claimed.traceparent, claimed.age_ms, claimed.lease_ends_at, coalesce(kinds[nth], false), null::text,
        null::double precision, null::text, null::bigint;
    end loop;
    exit when started + asked >= room;
  end loop;
  if started + asked > 0 and slots is not null then
    perform take_slots(target, claimed_at, first_at, in_status, started + asked);
  end if;
  if started + asked > 0 and is_probe then
    -- An inquiry is a probe without an attempt.
    update destinations d set
      probe_message_id = claimed.message_id,
      probe_attempt = case when started > 0 then claimed.attempt end,
      probe_ends_at = clock_timestamp() + in_lease_ms * interval '1 millisecond'
    where d.destination = target.destination
    returning d.* into target;
  end if;
  next_through := case target.state
      when 'paused' then target.until
      when 'held' then least(clock_timestamp() + greatest(target.probe_delay_ms, 1000) * interval '1 millisecond',
        greatest(coalesce(target.probe_ends_at, target.next_probe_at),
          -- The message of the next probe may be the other lane's.
          case when target.next_probe_at <= clock_timestamp() then clock_timestamp() + interval '1 second' end))
      else case when started + asked = slots then slot_at end
    end;
  for nth in 1 .. cardinality(in_statuses) loop
    looked_at := clock_timestamp();
    if in_statuses[nth] = 'processing' then
      perform note_overdue(in_look_from[nth], looked_at);
      select min(o.lease_ends_at) into overdue from overdue_attempts o;
      select c.lease_ends_at into earliest from lease_checks c
        where c.lease_ends_at >= in_look_from[nth] order by c.lease_ends_at limit 1;
      -- Under load a lease ends every few milliseconds, nearly always of an attempt that has ended.
      due_at := lease_ends_at(
        least(overdue, case when earliest is not null then greatest(earliest, looked_at + interval '1 second') end),
        in_reconnected_at, in_grace_ms);
      unseen_from := looked_at + coalesce((select min(i.lease_ms) from instances i), 0) * interval '1 millisecond';
    else
      earliest := earliest_due(in_statuses[nth], is_slow_apart, in_look_from[nth]);
      looked_at := clock_timestamp();
      -- Nothing is due before the destination lets it through. Where only a notification can change that, there is no timer.
      waits_since := least(earliest, case when is_slow_apart is not null and slow_room > 0 then earliest_due('failed', true, '-infinity') end);
      due_at := case
        when waits_since is not null and (target.state in ('flowing', 'ramping') or next_through is not null)
          then greatest(next_through, waits_since)
      end;
      unseen_from := looked_at;
    end if;
    return query select 'timer', null::bigint, null::int, null::int, null::text, null::bytea, null::text,
      null::double precision, null::bigint, null::boolean, in_statuses[nth],
      extract(epoch from due_at - looked_at)::double precision * 1000,
      to_char(least(earliest, unseen_from - interval '35 seconds') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      last_position();
  end loop;
  return query select 'destination', null::bigint, target.decision, null::int, null::text, null::bytea, null::text,
    null::double precision, null::bigint, null::boolean, target.state,
    case when waits_since <= clock_timestamp() and started + asked = slots then extract(epoch from slot_at - clock_timestamp())::double precision * 1000 end, null::text, null::bigint;
end
$function$
;

CREATE OR REPLACE FUNCTION public.make_segments(in_messages bigint DEFAULT NULL::bigint)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  latest log_segments;
  reached bigint;
  size bigint;
  first_id bigint;
  next_id bigint;
  made int := 0;
  parent text;
  part text;
begin
  -- One session at a time.
  perform pg_advisory_xact_lock(hashtextextended('make_segments', 0));
  loop
    select s.* into latest from log_segments s order by s.segment desc limit 1;
    select case when m.is_called then m.last_value else m.last_value - 1 end into reached from message_ids m;
    -- The smallest that there is: one that skipped ids is larger.
    size := coalesce(in_messages, (select min(s.next_message_id - s.first_message_id) from log_segments s), 5000000);
    exit when latest.next_message_id - 1 - reached >= size;
    first_id := coalesce(latest.next_message_id, 1);
    -- The ids may have gone on far beyond, because a change of the server skips some (recognize_server).
    next_id := greatest(first_id, reached + 1) + size;
    latest.segment := coalesce(latest.segment, 0) + 1;
    foreach parent in array array['message_events', 'records', 'message_states']
    loop
      part := format('%s_s%s', parent, latest.segment);
      execute format('create table %I (like %I including all)', part, parent);
      if parent = 'message_states' then
        -- Half of each page is left free, so that a message's next row version lands on the page it is already on.
        -- A row changes once or twice soon after it was made. So a vacuum is due when a small share of the rows is dead.
        execute format('alter table %I set (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05)', part);
      else
        -- Rows never change, but for records that are expunged. A vacuum after each 500,000 freezes them for good, so that none must read
        -- them again years later.
        execute format('alter table %I set (autovacuum_freeze_min_age = 0, autovacuum_vacuum_insert_scale_factor = 0,
          autovacuum_vacuum_insert_threshold = 500000)', part);
        -- What is expunged is on disk until a vacuum, so one is due when a small share of the rows is dead.
        if parent = 'records' then
          execute format('alter table %I set (autovacuum_vacuum_scale_factor = 0.05,
            toast.autovacuum_vacuum_scale_factor = 0.05)', part);
        end if;
        -- The guard of the whole table does not see a statement that names its partition.
        execute format('create trigger append_only before update or delete or truncate on %I
          for each statement execute function refuse_change()', part);
        execute format('alter table %I enable always trigger append_only', part);
        -- An insert into the partition would go past the trigger that projects it. An insert into the whole table does not fire this
        -- one. It is not on always: a restore and a logical replica fill the partitions one by one.
        execute format('create trigger past_the_log before insert on %I
          for each statement execute function refuse_change()', part);
      end if;
      execute format('alter table %I attach partition %I for values from (%s) to (%s)', parent, part, first_id, next_id);
    end loop;
    insert into log_segments (segment, first_message_id, next_message_id) values (latest.segment, first_id, next_id);
    made := made + 1;
  end loop;
  return made;
end
$function$
;

CREATE OR REPLACE FUNCTION public.merge_examples(ids bigint[], others bigint[])
 RETURNS bigint[]
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select array(select distinct id from unnest(ids || others) as u(id) order by id desc limit 3)
$function$
;

CREATE OR REPLACE FUNCTION public.moves_letter(in_type text, in_version integer, in_status text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select in_type in ('dead_lettered', 'cancelled', 'replayed', 'resolved', 'reopened', 'rejected')
    or (in_type = 'conflict_received' and in_version = 1)
    or (in_type = 'late_result_observed' and in_status = 'success')
$function$
;

CREATE OR REPLACE FUNCTION public.next_step(in_message_id bigint, in_at timestamp with time zone, in_lease_ms bigint, in_key_window_ms bigint, in_inquires boolean)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  doubt record;
  too_late_at timestamptz;
begin
  select * into doubt from doubt_of(in_message_id);
  if not found then
    return 'attempt';
  end if;
  too_late_at := doubt.first_at + (in_key_window_ms - in_lease_ms) * interval '1 millisecond';
  if in_inquires and doubt.not_founds < 2 and (doubt.inquiry = 'in_progress' or coalesce(doubt.inquired_at <= too_late_at, true)) then
    return 'inquire';
  end if;
  return case when in_at > too_late_at then 'forget' else 'attempt' end;
end
$function$
;

CREATE OR REPLACE FUNCTION public.note_overdue(in_from timestamp with time zone, in_now timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
declare
  -- A look stays short, also after a long stop.
  statements_max constant int := 20000;
  started record;
  found_ids bigint[] := '{}';
  first_id bigint;
  last_id bigint;
begin
  delete from overdue_attempts o where not exists (
    select from message_states s
    where s.message_id = o.message_id and s.status = 'processing' and s.lease_ends_at = o.lease_ends_at
  );
  for started in
    -- Another instance may be at it. Then it is done, or done again by the next look.
    with ended as (
      delete from lease_checks c
      where c.ctid = any (array(
        select k.ctid from lease_checks k where k.lease_ends_at >= in_from and k.lease_ends_at <= in_now
        order by k.lease_ends_at limit statements_max for update skip locked
      ))
      returning c.position
    )
    select p.message_ids from ended e join event_positions p on p.position = e.position
  loop
    first_id := started.message_ids[1];
    last_id := started.message_ids[cardinality(started.message_ids)];
    -- The messages of a slice lie side by side. Reading such a range is several times cheaper than reading them one by one.
    if last_id - first_id < 4 * cardinality(started.message_ids) then
      found_ids := found_ids || array(
        select s.message_id from message_states s
        where s.message_id between first_id and last_id and s.status = 'processing' and s.lease_ends_at <= in_now
      );
    else
      found_ids := found_ids || array(
        select s.message_id from message_states s
        where s.message_id = any (started.message_ids) and s.status = 'processing' and s.lease_ends_at <= in_now
      );
    end if;
  end loop;
  -- All at once and in order: two sessions may find the same attempt, because slices that are stored at once take ids in turn.
  insert into overdue_attempts (message_id, lease_ends_at)
    select distinct s.message_id, s.lease_ends_at from message_states s
    where s.message_id = any (found_ids) and s.status = 'processing' and s.lease_ends_at <= in_now
    order by 1, 2
    on conflict do nothing;
end
$function$
;

CREATE OR REPLACE FUNCTION public.note_verdicts(in_destination text, in_message_ids bigint[], in_attempts integer[], in_verdicts text[], in_reasons text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
AS $function$
declare
  noted_at timestamptz := clock_timestamp();
  -- The longest wait between two probes.
  wait_ms_max constant bigint := 60000;
  -- After a probe that was answered, the next one follows soon.
  wait_ms_min constant bigint := 1000;
  place destinations;
  counted record;
  verdict text;
  shows_life boolean;
begin
  select
      max(v.place) filter (where v.verdict in ('success', 'refusal', 'other')) is not null as resets_failures,
      count(*) filter (where v.verdict = 'failure' and v.place > v.last_answer)::int as failures,
      max(v.place) filter (where v.verdict = 'success') is not null as resets_refusals,
      count(*) filter (where v.verdict = 'refusal' and v.place > v.last_success)::int as refusals,
      (array_agg(v.reason order by v.place desc) filter (where v.verdict in ('failure', 'refusal')))[1] as last_reason
    into counted
    from (
      select u.*,
        coalesce(max(u.place) filter (where u.verdict in ('success', 'refusal', 'other')) over (), 0) as last_answer,
        coalesce(max(u.place) filter (where u.verdict = 'success') over (), 0) as last_success
      from unnest(coalesce(in_verdicts, array['success']), in_reasons) with ordinality as u(verdict, reason, place)
    ) v;
  update destinations d set
    failures = counted.failures + case when counted.resets_failures then 0 else d.failures end,
    refusals = counted.refusals + case when counted.resets_refusals then 0 else d.refusals end,
    last_reason = coalesce(counted.last_reason, d.last_reason),
    is_answered = d.is_answered or d.state = 'ramping' and counted.resets_failures
  where d.destination = in_destination and d.state in ('flowing', 'ramping')
    and (counted.failures > 0 or counted.refusals > 0 or counted.resets_failures and d.failures > 0
      or counted.resets_refusals and d.refusals > 0 or d.state = 'ramping' and counted.resets_failures and not d.is_answered);

  select * into place from destinations d
    where d.destination = in_destination and d.state = 'held' and d.probe_message_id = any (in_message_ids)
    for no key update;
  if not found then
    return;
  end if;
  select case when in_verdicts is null then 'success' else u.verdict end into verdict
    from unnest(in_message_ids, in_attempts, in_verdicts) as u(message_id, attempt, verdict)
    where u.message_id = place.probe_message_id and u.attempt is not distinct from place.probe_attempt;
  if not found then
    return;
  end if;
  -- After refusals only an accepted payment shows that the destination works.
  shows_life := verdict = 'success' or verdict in ('refusal', 'other') and place.cause = 'failures';
  update destinations d set
    probes = case when shows_life then d.probes + 1 when verdict = 'none' then d.probes else 0 end,
    probe_delay_ms = w.delay_ms,
    next_probe_at = noted_at + case when verdict = 'none' then 0 when shows_life then least(wait_ms_min, w.delay_ms) else w.delay_ms end
      * interval '1 millisecond',
    probe_message_id = null,
    probe_attempt = null,
    probe_ends_at = null
  from (
    select case when shows_life or verdict = 'none' then place.probe_delay_ms
      else least(place.probe_delay_ms * 2, greatest(wait_ms_max, place.probe_delay_ms)) end as delay_ms
  ) w
  where d.destination = in_destination;
  perform pg_notify('destination_changed', in_destination);
end
$function$
;

CREATE OR REPLACE FUNCTION public.observe_late(in_actor text, in_message_id bigint, in_transaction_id text, in_attempt integer, in_lease_ends_at timestamp with time zone, in_outcome text, in_status_code integer, in_duration_ms integer, in_reason text, in_reference text DEFAULT NULL::text)
 RETURNS text
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  perform from message_states where message_id = in_message_id and transaction_id = in_transaction_id for no key update;
  if not found then
    return 'stray';
  end if;
  perform from message_events e
    where e.message_id = in_message_id and e.type = 'attempt_started' and e.attempt = in_attempt and e.actor = in_actor
      and e.due_at = in_lease_ends_at;
  if not found then
    return 'stray';
  end if;
  perform from message_events e
    where e.message_id = in_message_id and e.attempt = in_attempt and e.actor = in_actor and e.outcome = in_outcome
      and e.type in ('succeeded', 'attempt_failed', 'late_result_observed');
  if found then
    return 'already';
  end if;
  perform append_late(
    in_actor => in_actor,
    in_message_id => in_message_id,
    in_attempt => in_attempt,
    in_attempt_name => format('attempt %s', in_attempt),
    in_outcome => in_outcome,
    in_status_code => in_status_code,
    in_duration_ms => in_duration_ms,
    in_reason => in_reason,
    in_reference => in_reference);
  return 'late';
end
$function$
;

CREATE OR REPLACE FUNCTION public.open_attempts(in_actor text)
 RETURNS TABLE(message_id bigint, attempt integer, retry_count integer, transaction_id text, payload bytea, traceparent text, age_ms double precision, lease_ends_at bigint, started_ms_ago double precision)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
#variable_conflict use_column
declare
  looked_at timestamptz := clock_timestamp();
begin
  return query
  select s.message_id, s.attempts, s.retry_count, s.transaction_id::text, r.payload, r.traceparent,
    (extract(epoch from looked_at - s.created_at) * 1000)::double precision, lease_micros(s.lease_ends_at),
    (extract(epoch from looked_at - e.recorded_at) * 1000)::double precision
  from processing_messages(in_actor) as started(message_id)
  join message_states s on s.message_id = started.message_id
  join records r on r.message_id = s.message_id and r.version = 1
  cross join lateral (
    select b.recorded_at from message_events b
    where b.message_id = s.message_id and b.type = 'attempt_started' order by b.version desc limit 1
  ) e
  where s.status = 'processing' and s.claimed_by = in_actor
    and e.recorded_at > coalesce((select max(c.recorded_at) from server_changes c where c.from_timeline is not null), '-infinity')
  order by s.message_id;
end
$function$
;

CREATE OR REPLACE FUNCTION public.open_letters()
 RETURNS TABLE(cause text, n bigint)
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
AS $function$
#variable_conflict use_column
declare
  measures constant text[] := array['open_dead_letter_refused', 'open_dead_letter_retries_exhausted', 'open_dead_letter_rejected_record',
    'open_dead_letter_conflicting_record', 'open_dead_letter_cancelled', 'open_dead_letter_outcome_unknown'];
begin
  return query
  select substr(c.measure, length('open_dead_letter_') + 1), sum(c.n)::bigint
  from (
    select r.measure, r.n from read_rollups('-infinity', '-infinity', measures) r
    union all
    -- By the key, segment by segment: the rows of an archive are thousands.
    select a.measure, -a.n
    from segment_archives s
    cross join unnest(measures) as m(measure)
    cross join lateral (
      select b.measure, b.n from archived_rollups b
      where b.segment = s.segment and b.minute = '-infinity' and b.measure = m.measure and b.bucket = 0
      limit 1
    ) a
  ) c
  group by 1 having sum(c.n) <> 0;
end
$function$
;

CREATE OR REPLACE FUNCTION public.pace_of(in_place destinations, in_at timestamp with time zone, OUT rate double precision, OUT burst double precision)
 RETURNS record
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  throttled double precision := throttled_rate(in_place, in_at);
begin
  -- least() passes nulls over.
  rate := least(in_place.rate_limit, throttled);
  -- A processor may count strictly. So no more may start at once than makes up for a lane that looks 50 ms late; and none earlier
  -- than it might at the full rate.
  burst := least(1 + (in_place.rate_burst - 1) * rate / in_place.rate_limit, case when throttled is not null then 1 + throttled / 20 end);
end
$function$
;

CREATE OR REPLACE FUNCTION public.pause_destination(in_destination text, in_actor text, in_reason text, in_until timestamp with time zone DEFAULT NULL::timestamp with time zone)
 RETURNS TABLE(answer text, decision integer, state text, since timestamp with time zone, actor text, reason text, until timestamp with time zone)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
#variable_conflict use_column
declare
  place destinations := lock_destination(in_destination);
begin
  -- The pause before has ended, and no instance was there to say so.
  if place.state = 'paused' and place.until <= clock_timestamp() then
    place := append_decision(place, 'ramping', 'until', in_actor, 'the time of the pause is over');
  end if;
  answer := case when place.state = 'paused' then 'already_paused' when in_until <= clock_timestamp() then 'until_passed'
    else 'paused' end;
  if answer = 'paused' then
    place := append_decision(place, 'paused', 'operator', in_actor, in_reason, in_until);
  end if;
  return query
    select answer, place.decision, place.state, place.since, l.actor, l.reason, place.until
    from (values (1)) as one
    left join destination_decisions l on l.destination = place.destination and l.decision = place.decision;
end
$function$
;

CREATE OR REPLACE FUNCTION public.place_strays(in_transaction_id text DEFAULT NULL::text)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
AS $function$
declare
  stray record;
  told text;
  locked_id bigint;
begin
  -- In the order of message ids, as everywhere, so that two sessions never wait for each other in a circle.
  for stray in
    select s.*, i.message_id
    from stray_outcomes s
    join inbox i on i.transaction_id = s.transaction_id and i.payload_sha256 = s.payload_sha256
    where (in_transaction_id is null or s.transaction_id = in_transaction_id)
      and not exists (
        select from segment_archives a where i.message_id >= a.first_message_id and i.message_id < a.next_message_id
      )
    order by i.message_id, s.attempt, s.lease_ends_at
    limit 1000
  loop
    continue when stray.message_id = locked_id;
    begin
      perform from message_states where message_id = stray.message_id for no key update;
    exception when lock_not_available then
      locked_id := stray.message_id;
      continue;
    end;
    -- It was archived just now.
    continue when not found;
    delete from stray_outcomes s
      where s.transaction_id = stray.transaction_id and s.attempt = stray.attempt and s.lease_ends_at = stray.lease_ends_at
        and s.actor = stray.actor;
    -- Another session has moved it.
    continue when not found;
    told := format('attempt %s of %s, which a failover took out of the log%s', stray.attempt, stray.actor, ': ' || stray.reason);
    -- It may be in the log already: it was kept and placed by a COMMIT whose answer was lost.
    perform from message_events e
      where e.message_id = stray.message_id and e.type = 'late_result_observed' and e.attempt is null and e.actor = stray.actor
        and e.reason = told;
    if not found then
      perform append_late(
        in_actor => stray.actor,
        in_message_id => stray.message_id,
        in_attempt => null,
        in_attempt_name => told,
        in_outcome => stray.outcome,
        in_status_code => stray.status_code,
        in_duration_ms => stray.duration_ms,
        in_reason => told,
        in_reference => stray.reference);
    end if;
  end loop;
  return (select count(*) from stray_outcomes);
end
$function$
;

CREATE OR REPLACE FUNCTION public.processing_messages(in_actor text)
 RETURNS SETOF bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
begin
  return query
  select s.message_id
  from (
    select u.message_id
    from lease_checks c
    join event_positions p on p.position = c.position
    cross join lateral unnest(p.message_ids) as u(message_id)
    where in_actor is null or c.actor = in_actor
    union
    select o.message_id from overdue_attempts o
  ) started
  join message_states s on s.message_id = started.message_id
  where s.status = 'processing' and (in_actor is null or s.claimed_by = in_actor)
  order by s.message_id;
end
$function$
;

CREATE OR REPLACE FUNCTION public.project()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
declare
  given record;
  steps record;
  events_left bigint;
begin
  -- The function that appended reads this before the transaction ends; see refuse_unprojected.
  perform set_config('tqp.projected', 'yes', true);
  select count(*) as events,
    count(*) filter (where e.version = 1) as first_ones,
    coalesce(bool_or(is_failure(e.type)), false) as fails,
    coalesce(bool_or(e.due_at is not null), false) as leaves_open,
    coalesce(bool_or(e.type = 'attempt_started' and e.due_at is not null), false) as starts,
    coalesce(bool_or(is_decision(e.type)), false) as decides,
    coalesce(bool_or(moves_letter(e.type, e.version, e.status)), false) as moves_letters,
    -- At least the transaction's own position, so the watermark passes it only after the transaction has ended.
    max(e.position) as position,
    -- Starting a statement costs for each segment; these two leave out the segments that have none of the messages.
    min(e.message_id) as first_id, max(e.message_id) as last_id
    into given from new_events e;
  -- A statement that appended nothing notifies nobody. An empty claim that notifies would wake itself: 11,476 looks in 3 s,
  -- measured.
  if given.events = 0 then
    return null;
  end if;
  events_left := given.events;
  insert into event_positions (position, message_ids)
    select e.position, array_agg(distinct e.message_id) from new_events e group by e.position;
  if given.starts then
    insert into lease_checks (lease_ends_at, position, actor)
      select max(e.due_at), e.position, e.actor from new_events e
      where e.type = 'attempt_started' and e.due_at is not null group by e.position, e.actor;
  end if;

  if given.first_ones > 0 then
    with chain as (
      select e.*,
        lag(e.type) over events as first_type,
        lag(e.status) over events as first_status,
        lag(e.transaction_id) over events as first_transaction_id,
        lag(e.recorded_at) over events as first_recorded_at,
        lead(e.type) over events as next_type
      from new_events e where e.version <= 2
      window events as (partition by e.message_id order by e.version)
    ),
    born as materialized (
      select c.message_id, c.version, c.position, c.recorded_at, c.type, c.actor, c.status, c.retry_count, c.due_at, c.attempt,
        c.reason, c.version = 2 as is_started,
        coalesce(c.first_type, c.type) as first_type,
        coalesce(c.first_status, c.status) as first_status,
        coalesce(c.first_transaction_id, c.transaction_id) as transaction_id,
        coalesce(c.first_recorded_at, c.recorded_at) as created_at
      from chain c
      where (c.version = 1 and c.next_type is distinct from 'attempt_started')
        or (c.version = 2 and c.type = 'attempt_started' and c.first_type is not null)
    ),
    stored as (
      insert into message_states (message_id, transaction_id, version, status, retry_count, attempts, due_at,
        lease_ends_at, queue, claimed_by, error_message, outcome_unknown, position, created_at, updated_at, recorded_at)
      select b.message_id, b.transaction_id, b.version, b.status, b.retry_count, coalesce(b.attempt, 0),
        case when not b.is_started then b.due_at end, case when b.is_started then b.due_at end, queue_of(b.status),
        case when b.is_started then b.actor end,
        case when b.status in ('failed', 'dead_letter') then b.reason end, false, b.position, b.created_at, b.recorded_at,
        b.recorded_at
      from born b
    ),
    -- A statement has many messages, but of few kinds. What all messages of a kind share is done once.
    kind as materialized (
      select b.first_type, b.first_status, b.is_started, b.status, b.retry_count,
        date_bin('1 minute', b.created_at, 'epoch') as created_minute,
        date_bin('1 minute', b.recorded_at, 'epoch') as minute,
        min(b.message_id) as example, count(*) as messages
      from born b group by 1, 2, 3, 4, 5, 6, 7
    ),
    step as materialized (
      select 'none' as from_status, k.first_type as type, k.first_status as status, k.created_minute as minute, k.example,
        k.messages
      from kind k
      union all
      select k.first_status, 'attempt_started', k.status, k.minute, k.example, k.messages from kind k where k.is_started
    ),
    retries as (
      select k.retry_count, sum(k.messages)::bigint as n from kind k group by 1
    )
    select array_agg(s.from_status) as from_statuses, array_agg(s.type) as types, array_agg(s.status) as to_statuses,
      array_agg(s.minute) as minutes, array_agg(s.example) as examples, array_agg(s.messages) as events,
      (select array_agg(r.retry_count) from retries r) as retry_counts, (select array_agg(r.n) from retries r) as retry_messages
      into steps
      from step s;
    events_left := events_left - count_steps(
      in_position => given.position,
      in_from_statuses => steps.from_statuses,
      in_types => steps.types,
      in_to_statuses => steps.to_statuses,
      in_outcomes => null,
      in_minutes => steps.minutes,
      in_examples => steps.examples,
      in_events => steps.events,
      in_rollup_minutes => array_fill('-infinity'::timestamptz, array[cardinality(steps.retry_counts)]),
      in_rollup_measures => array_fill('retries'::text, array[cardinality(steps.retry_counts)]),
      in_rollup_buckets => steps.retry_counts,
      in_rollup_counts => steps.retry_messages);
  end if;

  while events_left > 0 loop
    with step as materialized (
      select e.message_id, e.version, e.position, e.recorded_at, e.type, e.actor, e.status, e.retry_count, e.due_at, e.attempt,
        e.outcome, e.duration_ms, e.reason,
        -- A late failure changes nothing: the id in it may be an error's, and the payment may have been accepted meanwhile.
        case when e.type = 'late_result_observed' and e.outcome <> 'accepted' then s.reference
          else coalesce(e.reference, s.reference) end as reference,
        -- Whatever has a status without a due time is on hold, and may not be attempted.
        case when e.type = 'attempt_started' and s.due_at is null and s.status in ('pending', 'failed') then 'on_hold'
          else s.status end as prior_status,
        s.retry_count as prior_retry_count,
        s.is_slow as prior_slow, s.outcome_unknown as prior_unknown, s.outcome_unknown or coalesce(e.outcome = 'unknown', false) as outcome_unknown,
        s.created_at, s.transaction_id, s.attempts as prior_attempts, s.claimed_by as prior_claimed_by,
        s.error_message as prior_error_message, s.updated_at as prior_updated_at,
        date_bin('1 minute', e.recorded_at, 'epoch') as minute
      from new_events e
      cross join lateral (
        select m.* from message_states m
        where m.message_id = e.message_id and m.version = e.version - 1
          and m.message_id between given.first_id and given.last_id
        limit 1
      ) s
    ),
    -- Every message of a step has its row, so each of these inserts becomes an update. An update by name would prepare itself for each
    -- segment of the log; an insert finds its segment by the message id.
    moved as (
      insert into message_states as s (message_id, transaction_id, created_at, version, status, retry_count, attempts, due_at,
        lease_ends_at, queue, claimed_by, error_message, outcome_unknown, is_slow, position, updated_at, recorded_at, reference)
      select f.message_id, f.transaction_id, f.created_at, f.version, f.status, f.retry_count,
        -- A late result names an attempt before the last one.
        greatest(f.prior_attempts, f.attempt),
        case when f.status <> 'processing' then f.due_at end,
        case when f.status = 'processing' then f.due_at end,
        queue_of(f.status),
        case when f.type = 'attempt_started' then f.actor when f.status = 'processing' then f.prior_claimed_by end,
        case
          when f.type in ('succeeded', 'attempt_failed', 'attempt_abandoned', 'replayed')
              or (f.type = 'late_result_observed' and f.status = 'success')
            then case when f.status in ('failed', 'dead_letter') then f.reason end
          else f.prior_error_message end,
        f.outcome_unknown,
        f.status = 'failed' and case when f.type in ('attempt_failed', 'attempt_abandoned') then is_slow(f.duration_ms)
          else f.prior_slow end,
        f.position,
        case
          when f.status <> f.prior_status or f.retry_count <> f.prior_retry_count or f.type = 'attempt_started'
            then f.recorded_at
          else f.prior_updated_at end,
        f.recorded_at,
        f.reference
      from step f
      on conflict (message_id) do update set
        version = excluded.version,
        status = excluded.status,
        retry_count = excluded.retry_count,
        attempts = excluded.attempts,
        due_at = excluded.due_at,
        lease_ends_at = excluded.lease_ends_at,
        queue = excluded.queue,
        claimed_by = excluded.claimed_by,
        error_message = excluded.error_message,
        outcome_unknown = excluded.outcome_unknown,
        is_slow = excluded.is_slow,
        position = excluded.position,
        updated_at = excluded.updated_at,
        recorded_at = excluded.recorded_at,
        reference = excluded.reference
    ),
    kind as materialized (
      select f.prior_status, f.type, f.status, f.outcome, f.minute, min(f.message_id) as example, count(*) as events
      from step f group by 1, 2, 3, 4, 5
    ),
    duration as materialized (
      select d.minute, d.measure, latency_bucket(d.micros) as bucket, count(*) as n, max(d.micros)::bigint as longest
      from (
        select f.minute, 'end_to_end' as measure,
          round(date_part('epoch', f.recorded_at - f.created_at) * 1e6) as micros
        from step f where f.status = 'success' and f.prior_status <> 'success'
        union all
        select f.minute, 'attempt', f.duration_ms * 1000::double precision
        from step f where f.duration_ms is not null and f.type in ('succeeded', 'attempt_failed')
      ) d
      group by 1, 2, 3
    ),
    rollup as (
      select d.minute, d.measure, d.bucket, d.n from duration d
      union all
      select d.minute, d.measure || '_max', 0, max(d.longest) from duration d group by 1, 2
      union all
      select '-infinity', 'retries', m.retry_count, sum(m.n)::bigint
      from step f
      cross join lateral (values (f.retry_count, 1), (f.prior_retry_count, -1)) as m(retry_count, n)
      where f.retry_count <> f.prior_retry_count
      group by 3 having sum(m.n) <> 0
      union all
      select '-infinity', unknown_measure(u.status), 0, sum(u.n)::bigint
      from step f
      cross join lateral (
        select f.status, 1 as n
        union all
        select f.prior_status, -1 where f.prior_unknown
      ) u
      where f.outcome_unknown
      group by 2 having sum(u.n) <> 0
    )
    select array_agg(k.prior_status) as from_statuses, array_agg(k.type) as types, array_agg(k.status) as to_statuses,
      array_agg(k.outcome) as outcomes, array_agg(k.minute) as minutes, array_agg(k.example) as examples,
      array_agg(k.events) as events, r.minutes as rollup_minutes, r.measures, r.buckets, r.counts
      into steps
      from kind k
      cross join (
        select array_agg(minute) as minutes, array_agg(measure) as measures, array_agg(bucket) as buckets,
          array_agg(n) as counts
        from rollup
      ) r
      group by r.minutes, r.measures, r.buckets, r.counts;
    if steps.types is null then
      raise exception 'illegal transition: % event(s) of this statement follow no version that there is', events_left
        using errcode = 'integrity_constraint_violation';
    end if;
    events_left := events_left - count_steps(
      in_position => given.position,
      in_from_statuses => steps.from_statuses,
      in_types => steps.types,
      in_to_statuses => steps.to_statuses,
      in_outcomes => steps.outcomes,
      in_minutes => steps.minutes,
      in_examples => steps.examples,
      in_events => steps.events,
      in_rollup_minutes => steps.rollup_minutes,
      in_rollup_measures => steps.measures,
      in_rollup_buckets => steps.buckets,
      in_rollup_counts => steps.counts);
  end loop;

  -- A call of its own, so that only failures pay for a pattern.
  if given.fails then
    perform count_failures(array_agg(e.message_id), array_agg(e.recorded_at), array_agg(e.reason))
      from new_events e where is_failure(e.type) and e.reason is not null;
  end if;
  if given.decides then
    perform project_decisions(given.position, array_agg(distinct e.message_id))
      from new_events e where is_decision(e.type);
  end if;
  if given.moves_letters then
    perform count_letters(given.position, array_agg(e.message_id), array_agg(e.version))
      from new_events e where moves_letter(e.type, e.version, e.status);
  end if;
  perform pg_notify('message_events', '');
  if given.leaves_open then
    perform pg_notify('message_due', '');
  end if;
  return null;
end
$function$
;

CREATE OR REPLACE FUNCTION public.project_decisions(in_position bigint, in_message_ids bigint[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
declare
  on_hold bigint;
  resolved bigint;
begin
  select count(*) filter (where d.resolution is null), count(*) filter (where d.resolution is not null) into on_hold, resolved
    from decided_messages d where d.message_id = any (in_message_ids);
  delete from decided_messages d
    where d.message_id = any (in_message_ids)
      and not exists (select from decisions_of(in_message_ids) n where n.message_id = d.message_id);
  insert into decided_messages as d (message_id, version, resolution)
    select n.message_id, n.version, n.resolution from decisions_of(in_message_ids) n order by n.message_id
    on conflict (message_id) do update set version = excluded.version, resolution = excluded.resolution;
  select count(*) filter (where d.resolution is null) - on_hold, count(*) filter (where d.resolution is not null) - resolved
    into on_hold, resolved
    from decided_messages d where d.message_id = any (in_message_ids);
  insert into status_count_deltas (position, pending, processing, success, failed, dead_letter, minutes, measures, buckets, counts)
    select in_position, 0, 0, 0, 0, 0, array_agg('-infinity'::timestamptz), array_agg(m.measure), array_agg(0), array_agg(m.n)
    from (values ('on_hold', on_hold), ('resolved_dead_letter', resolved)) as m(measure, n)
    where m.n <> 0
    having count(*) > 0;
end
$function$
;

CREATE OR REPLACE FUNCTION public.queue_of(in_status text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select case when in_status in ('pending', 'failed', 'dead_letter') then in_status end
$function$
;

CREATE OR REPLACE FUNCTION public.ramp_room(in_age interval)
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
  select power(2, least(30, greatest(0, floor(extract(epoch from in_age)))))::int
$function$
;

CREATE OR REPLACE FUNCTION public.read_failures(in_first timestamp with time zone, in_last timestamp with time zone)
 RETURNS TABLE(minute timestamp with time zone, pattern text, n bigint, last_at timestamp with time zone, examples bigint[])
 LANGUAGE sql
 STABLE
AS $function$
  select r.minute, r.pattern, r.n, r.last_at, r.examples from failure_rollups r
  where r.minute between date_bin('24 hours', in_first, 'epoch') and in_last
    and r.minute >= (select aged_minute(in_first, b.hours_below, b.days_below) from aged_below() b)
  union all
  select aged_minute(d.minute, b.hours_below, b.days_below), d.pattern, d.n, d.last_at, d.examples from failure_deltas d
  cross join aged_below() b
  where d.position >= (select max(bound) from status_count_folds)
    and aged_minute(d.minute, b.hours_below, b.days_below)
      between aged_minute(in_first, b.hours_below, b.days_below) and in_last
$function$
;

CREATE OR REPLACE FUNCTION public.read_journal(in_kinds text[], in_actor text, in_from timestamp with time zone, in_to timestamp with time zone, in_after_at timestamp with time zone, in_after_source integer, in_after_key1 bigint, in_after_key2 bigint, in_rows_max integer)
 RETURNS TABLE(recorded_at timestamp with time zone, source integer, key1 bigint, key2 bigint, kind text, decided_by text, actor text, decision text, detail text, reason text, evidence text, transaction_id text, destination text, topic text, partition integer)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
AS $function$
#variable_conflict use_column
declare
  low_at timestamptz := coalesce(in_from, '-infinity');
  high_at timestamptz := coalesce(in_to, 'infinity');
  after_at timestamptz := coalesce(in_after_at, 'infinity');
  after_source int := coalesce(in_after_source, 2147483647);
  after_key1 bigint := coalesce(in_after_key1, 0);
  after_key2 bigint := coalesce(in_after_key2, 0);
  -- The name of an instance, which is a ULID, and the part of it that decided.
  instance constant text := '^[0-9A-HJKMNP-TV-Z]{26}/';
begin
  return query
  with found as (
    (
      select e.recorded_at, 6 as source, e.message_id as key1, e.version::bigint as key2, 'payment' as kind, 'operator' as decided_by, e.actor,
        e.type as decision, e.resolution as detail, coalesce(e.reason, '') as reason, e.evidence, null::text as destination,
        null::text as topic, null::int as partition
      from message_events e
      where 'payment' = any (in_kinds)
        and e.type in ('replayed', 'held', 'released', 'cancelled', 'resolved', 'reopened', 'expunged')
        and (e.request_key is null or e.request_key not like 'replay-job:%')
        and not (e.type = 'expunged' and e.reason like 'RETAIN\_PAYLOAD: %' and e.actor like '%/retention')
        and e.recorded_at >= low_at and e.recorded_at < high_at and e.recorded_at <= after_at
        and (e.recorded_at, 6, e.message_id, e.version::bigint) < (after_at, after_source, after_key1, after_key2)
        and in_actor is null
      order by e.recorded_at desc, e.message_id desc, e.version desc limit in_rows_max
    ) union all (
      -- Of one actor there may be few among millions: they have an index of their own.
      select e.recorded_at, 6, e.message_id, e.version::bigint, 'payment', 'operator', e.actor,
        e.type, e.resolution, coalesce(e.reason, ''), e.evidence, null::text,
        null::text, null::int
      from message_events e
      where 'payment' = any (in_kinds)
        and e.type in ('replayed', 'held', 'released', 'cancelled', 'resolved', 'reopened', 'expunged')
        and (e.request_key is null or e.request_key not like 'replay-job:%')
        and not (e.type = 'expunged' and e.reason like 'RETAIN\_PAYLOAD: %' and e.actor like '%/retention')
        and e.recorded_at >= low_at and e.recorded_at < high_at and e.recorded_at <= after_at
        and (e.recorded_at, 6, e.message_id, e.version::bigint) < (after_at, after_source, after_key1, after_key2)
        and e.actor = in_actor
      order by e.recorded_at desc, e.message_id desc, e.version desc limit in_rows_max
    ) union all (
      select d.recorded_at, 5, d.decision::bigint, 0, 'destination', case when d.cause in ('operator', 'rate') then 'operator' else 'service' end, d.actor,
        case when d.cause in ('rate', 'setting') then 'rate' else d.state end,
        case when d.cause in ('rate', 'setting') then coalesce(d.rate_limit || '/s', 'no limit') else d.cause end, d.reason, null, d.destination, null, null
      from destination_decisions d
      where 'destination' = any (in_kinds)
        and d.recorded_at >= low_at and d.recorded_at < high_at and d.recorded_at <= after_at
        and (d.recorded_at, 5, d.decision::bigint, 0::bigint) < (after_at, after_source, after_key1, after_key2)
        and (in_actor is null or d.actor = in_actor)
      order by d.recorded_at desc, d.decision desc limit in_rows_max
    ) union all (
      select j.recorded_at, 4, j.job, j.version::bigint, 'replay_job', case when j.actor ~ instance then 'service' else 'operator' end, j.actor,
        j.type, case when j.type in ('started', 'pace_changed') then coalesce(j.per_second || '/s', 'no pace') end, j.reason, null, null, null, null
      from replay_job_events j
      where 'replay_job' = any (in_kinds)
        and j.recorded_at >= low_at and j.recorded_at < high_at and j.recorded_at <= after_at
        and (j.recorded_at, 4, j.job, j.version::bigint) < (after_at, after_source, after_key1, after_key2)
        and (in_actor is null or j.actor = in_actor)
      order by j.recorded_at desc, j.job desc, j.version desc limit in_rows_max
    ) union all (
      select d.recorded_at, 3, d.partition_id::bigint, d.decision::bigint, 'partition', case when d.type = 'stopped' then 'service' else 'operator' end, d.actor,
        d.type, case when d.type = 'stopped' then 'at offset ' || d.next_offset else format('from offset %s to %s', d.next_offset, d.resume_offset) end,
        d.reason, null, null, p.topic, p.partition
      from partition_decisions d
      join partitions p on p.partition_id = d.partition_id
      where 'partition' = any (in_kinds)
        and d.recorded_at >= low_at and d.recorded_at < high_at and d.recorded_at <= after_at
        and (d.recorded_at, 3, d.partition_id::bigint, d.decision::bigint) < (after_at, after_source, after_key1, after_key2)
        and (in_actor is null or d.actor = in_actor)
      order by d.recorded_at desc, d.partition_id desc, d.decision desc limit in_rows_max
    ) union all (
      select s.archived_at, 2, s.segment::bigint, 0, 'archive', case when s.actor ~ instance then 'service' else 'operator' end, s.actor,
        'archived', format('segment %s to %s: %s payments', s.segment, s.name, s.messages), s.reason, null, null, null, null
      from segment_archives s
      where 'archive' = any (in_kinds)
        and s.archived_at >= low_at and s.archived_at < high_at
        and (s.archived_at, 2, s.segment::bigint, 0::bigint) < (after_at, after_source, after_key1, after_key2)
        and (in_actor is null or s.actor = in_actor)
      order by s.archived_at desc, s.segment desc limit in_rows_max
    ) union all (
      select l.recorded_at, 1, l.epoch::bigint, 0, 'epoch', case when l.actor ~ instance then 'service' else 'operator' end, l.actor,
        'begun', 'epoch ' || l.epoch, l.reason, null, null, null, null
      from log_epochs l
      where 'epoch' = any (in_kinds) and l.epoch > 1
        and l.recorded_at >= low_at and l.recorded_at < high_at
        and (l.recorded_at, 1, l.epoch::bigint, 0::bigint) < (after_at, after_source, after_key1, after_key2)
        and (in_actor is null or l.actor = in_actor)
      order by l.recorded_at desc, l.epoch desc limit in_rows_max
    )
    order by 1 desc, 2 desc, 3 desc, 4 desc limit in_rows_max
  )
  select f.recorded_at, f.source, f.key1, f.key2, f.kind, f.decided_by, f.actor, f.decision, f.detail, f.reason, f.evidence,
    (select s.transaction_id::text from message_states s where f.source = 6 and s.message_id = f.key1), f.destination, f.topic, f.partition
  from found f
  order by 1 desc, 2 desc, 3 desc, 4 desc;
end
$function$
;

CREATE OR REPLACE FUNCTION public.read_log(in_after_position bigint, in_after_message_id bigint, in_after_version integer, in_before_position bigint, in_before_message_id bigint, in_before_version integer, in_backwards boolean, in_examined_max bigint, in_rows_max bigint, in_types text[], in_outcomes text[], in_actor text, in_recorded_from timestamp with time zone, in_recorded_to timestamp with time zone)
 RETURNS TABLE(event message_events, matches boolean, place bigint)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
 SET enable_hashagg TO 'off'
AS $function$
declare
  head bigint := watermark();
begin
  if in_backwards then
    return query
    select e.event, e.matches, e.place
    from (
      select e.event, e.position, e.message_id, e.version,
        (in_types is null or e.type = any (in_types)) and (in_outcomes is null or e.outcome = any (in_outcomes))
          and (in_actor is null or e.actor = in_actor) and (in_recorded_from is null or e.recorded_at >= in_recorded_from)
          and (in_recorded_to is null or e.recorded_at < in_recorded_to) as matches,
        row_number() over (order by e.position desc, e.message_id desc, e.version desc) as place
      from (
        select e.event, o.position, o.message_id, e.version, e.type, e.outcome, e.actor, e.recorded_at
        from (
          select distinct p.position, u.message_id
          from event_positions p
          cross join lateral unnest(p.message_ids) as u(message_id)
          where p.position >= in_after_position and p.position <= least(in_before_position, head - 1)
            and (p.position, u.message_id) >= (in_after_position, in_after_message_id)
            and (p.position, u.message_id) <= (in_before_position, in_before_message_id)
          order by p.position desc, u.message_id desc
        ) o
        cross join lateral (
          select m as event, m.version, m.type, m.outcome, m.actor, m.recorded_at from message_events m where m.message_id = o.message_id and m.position = o.position
        ) e
        where (o.position, o.message_id, e.version) > (in_after_position, in_after_message_id, in_after_version)
          and (o.position, o.message_id, e.version) < (in_before_position, in_before_message_id, in_before_version)
        order by o.position desc, o.message_id desc, e.version desc limit in_examined_max
      ) e
    ) e
    where e.matches or e.place = in_examined_max
    order by e.position desc, e.message_id desc, e.version desc limit in_rows_max;
  else
    return query
    select e.event, e.matches, e.place
    from (
      select e.event, e.position, e.message_id, e.version,
        (in_types is null or e.type = any (in_types)) and (in_outcomes is null or e.outcome = any (in_outcomes))
          and (in_actor is null or e.actor = in_actor) and (in_recorded_from is null or e.recorded_at >= in_recorded_from)
          and (in_recorded_to is null or e.recorded_at < in_recorded_to) as matches,
        row_number() over (order by e.position asc, e.message_id asc, e.version asc) as place
      from (
        select e.event, o.position, o.message_id, e.version, e.type, e.outcome, e.actor, e.recorded_at
        from (
          select distinct p.position, u.message_id
          from event_positions p
          cross join lateral unnest(p.message_ids) as u(message_id)
          where p.position >= in_after_position and p.position <= least(in_before_position, head - 1)
            and (p.position, u.message_id) >= (in_after_position, in_after_message_id)
            and (p.position, u.message_id) <= (in_before_position, in_before_message_id)
          order by p.position asc, u.message_id asc
        ) o
        cross join lateral (
          select m as event, m.version, m.type, m.outcome, m.actor, m.recorded_at from message_events m where m.message_id = o.message_id and m.position = o.position
        ) e
        where (o.position, o.message_id, e.version) > (in_after_position, in_after_message_id, in_after_version)
          and (o.position, o.message_id, e.version) < (in_before_position, in_before_message_id, in_before_version)
        order by o.position asc, o.message_id asc, e.version asc limit in_examined_max
      ) e
    ) e
    where e.matches or e.place = in_examined_max
    order by e.position asc, e.message_id asc, e.version asc limit in_rows_max;
  end if;
end
$function$
;

CREATE OR REPLACE FUNCTION public.read_log_of(in_transaction_ids text[], in_after_position bigint, in_after_message_id bigint, in_after_version integer, in_before_position bigint, in_before_message_id bigint, in_before_version integer, in_backwards boolean, in_rows_max bigint, in_types text[], in_outcomes text[], in_actor text, in_recorded_from timestamp with time zone, in_recorded_to timestamp with time zone)
 RETURNS SETOF message_events
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
declare
  head bigint := watermark();
begin
  if in_backwards then
    return query
    select (p.event).*
    from inbox i
    cross join lateral (
      select e as event from message_events e
      where e.message_id = i.message_id and e.position + 0 < head
        and (e.position + 0, e.message_id, e.version) > (in_after_position, in_after_message_id, in_after_version)
        and (e.position + 0, e.message_id, e.version) < (in_before_position, in_before_message_id, in_before_version)
        and (in_types is null or e.type = any (in_types)) and (in_outcomes is null or e.outcome = any (in_outcomes))
        and (in_actor is null or e.actor = in_actor) and (in_recorded_from is null or e.recorded_at >= in_recorded_from)
        and (in_recorded_to is null or e.recorded_at < in_recorded_to)
      order by e.version desc limit in_rows_max
    ) p
    where i.transaction_id = any (in_transaction_ids collate "C")
    order by (p.event).position desc, (p.event).message_id desc, (p.event).version desc limit in_rows_max;
  else
    return query
    select (p.event).*
    from inbox i
    cross join lateral (
      select e as event from message_events e
      where e.message_id = i.message_id and e.position + 0 < head
        and (e.position + 0, e.message_id, e.version) > (in_after_position, in_after_message_id, in_after_version)
        and (e.position + 0, e.message_id, e.version) < (in_before_position, in_before_message_id, in_before_version)
        and (in_types is null or e.type = any (in_types)) and (in_outcomes is null or e.outcome = any (in_outcomes))
        and (in_actor is null or e.actor = in_actor) and (in_recorded_from is null or e.recorded_at >= in_recorded_from)
        and (in_recorded_to is null or e.recorded_at < in_recorded_to)
      order by e.version asc limit in_rows_max
    ) p
    where i.transaction_id = any (in_transaction_ids collate "C")
    order by (p.event).position asc, (p.event).message_id asc, (p.event).version asc limit in_rows_max;
  end if;
end
$function$
;

CREATE OR REPLACE FUNCTION public.read_rollups(in_first timestamp with time zone, in_last timestamp with time zone, in_measures text[])
 RETURNS TABLE(minute timestamp with time zone, measure text, bucket integer, n bigint)
 LANGUAGE sql
 STABLE
AS $function$
  -- No row begins earlier than the day of in_first. The planner needs this bound: it cannot see the other one.
  select r.minute, r.measure, r.bucket, r.n from rollups r
  where r.minute between date_bin('24 hours', in_first, 'epoch') and in_last
    and r.minute >= (select aged_minute(in_first, b.hours_below, b.days_below) from aged_below() b)
    and (in_measures is null or r.measure = any (in_measures))
  union all
  select aged_minute(u.minute, b.hours_below, b.days_below), u.measure, u.bucket, u.n from status_count_deltas d
  cross join aged_below() b
  cross join lateral unnest(d.minutes, d.measures, d.buckets, d.counts) as u(minute, measure, bucket, n)
  where d.position >= (select max(bound) from status_count_folds)
    and aged_minute(u.minute, b.hours_below, b.days_below)
      between aged_minute(in_first, b.hours_below, b.days_below) and in_last
    and (in_measures is null or u.measure = any (in_measures))
$function$
;

CREATE OR REPLACE FUNCTION public.rebuild_counts()
 RETURNS TABLE(status text, was bigint, became bigint)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
#variable_conflict use_column
declare
  statuses text[] := array['pending', 'processing', 'success', 'failed', 'dead_letter'];
  counted bigint[];
  scanned bigint[];
begin
  -- One session at a time: two corrections of the same error would be a new error.
  perform pg_advisory_xact_lock(hashtextextended('rebuild_counts', 0));
  insert into status_count_folds (bound, pending, processing, success, failed, dead_letter)
    select 0, 0, 0, 0, 0, 0 where not exists (select from status_count_folds);
  select array[c.pending, c.processing, c.success, c.failed, c.dead_letter],
      array(
        select count(m.message_id) + coalesce((
            select sum(case n.status when 'success' then a.success when 'dead_letter' then a.dead_letter end)::bigint
            from segment_archives a
          ), 0)
        from unnest(statuses) with ordinality as n(status, place)
        left join message_states m on m.status = n.status
        group by n.place, n.status order by n.place
      )
    into strict counted, scanned
    from status_counts() c;
  if counted = scanned then
    return;
  end if;
  insert into status_count_deltas (position, pending, processing, success, failed, dead_letter)
    values (current_position(), scanned[1] - counted[1], scanned[2] - counted[2], scanned[3] - counted[3],
      scanned[4] - counted[4], scanned[5] - counted[5]);
  perform pg_notify('message_events', '');
  return query
    select n.status, n.was, n.became from unnest(statuses, counted, scanned) as n(status, was, became) where n.was <> n.became;
end
$function$
;

CREATE OR REPLACE FUNCTION public.rebuild_decisions(in_above bigint, in_rows_max integer)
 RETURNS TABLE(message_id bigint, transaction_id text, was text, became text, reached bigint)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
AS $function$
#variable_conflict use_column
declare
  ids bigint[];
  broken bigint[];
begin
  ids := array(
    select k.message_id from (
      (select e.message_id from message_events e where e.message_id > in_above and e.version = 1 order by 1 limit in_rows_max)
      union
      (select d.message_id from decided_messages d where d.message_id > in_above order by 1 limit in_rows_max)
    ) k
    order by 1 limit in_rows_max
  );
  broken := array(
    select coalesce(d.message_id, n.message_id)
    from (select c.* from decided_messages c where c.message_id = any (ids)) d
    full join decisions_of(ids) n on n.message_id = d.message_id
    where d is distinct from n
  );
  if cardinality(broken) > 0 then
    perform from message_states s where s.message_id = any (broken) order by s.message_id for no key update;
    return query
    with different as materialized (
      select i.message_id, d.message_id as stored_id, n.message_id as found_id, n.version, n.resolution,
        case when d.message_id is not null then format('%s at version %s', coalesce(d.resolution, 'on hold'), d.version) end as was,
        case when n.message_id is not null then format('%s at version %s', coalesce(n.resolution, 'on hold'), n.version) end as became
      from unnest(broken) as i(message_id)
      left join decided_messages d on d.message_id = i.message_id
      left join decisions_of(broken) n on n.message_id = i.message_id
      where d is distinct from n
    ),
    removed as (
      delete from decided_messages d using different c where d.message_id = c.stored_id and c.found_id is null
    ),
    repaired as (
      insert into decided_messages as d (message_id, version, resolution)
      select c.found_id, c.version, c.resolution from different c where c.found_id is not null
      on conflict (message_id) do update set version = excluded.version, resolution = excluded.resolution
    )
    select c.message_id,
      (select e.transaction_id::text from message_events e where e.message_id = c.message_id and e.version = 1), c.was, c.became,
      null::bigint
    from different c
    order by c.message_id;
  end if;
  return query select null::bigint, null, null, null, ids[cardinality(ids)];
end
$function$
;

CREATE OR REPLACE FUNCTION public.rebuild_destinations()
 RETURNS TABLE(destination text, field text, was text, became text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
#variable_conflict use_column
declare
  name text;
  stored jsonb;
  decided jsonb;
  held_at bigint;
begin
  for name in
    select 'default' union select d.destination from destinations d union select c.destination from destination_decisions c
    order by 1
  loop
    -- Twice: first without a lock, for which everything that is sent would have to wait.
    for look in 1 .. 2 loop
      if look = 2 then
        perform pg_advisory_xact_lock(hashtextextended('destination ' || name, 0));
      end if;
      select to_jsonb(s) into stored
        from (
          select d.decision, d.state_decision, d.state, d.cause, d.since, d.until, d.rate_limit, d.rate_burst,
            d.throttled_at is not null as is_throttled,
            case when d.state = 'held' and (d.next_probe_at is null or d.probe_delay_ms is null) then 'missing' else 'set' end
              as next_probe_at
          from destinations d where d.destination = name
        ) s;
      select to_jsonb(l), case when l.state = 'held' then l.position end into decided, held_at
        from (
          select coalesce(c.decision, 0) as decision, b.decision as state_decision, coalesce(b.state, 'flowing') as state, b.cause,
            b.recorded_at as since, b.until, c.rate_limit, c.rate_burst, coalesce(t.cause = 'throttled', false) as is_throttled,
            'set' as next_probe_at, b.position
          from (values (1)) as one
          left join lateral (
            select a.* from destination_decisions a where a.destination = name order by a.decision desc limit 1
          ) c on true
          left join lateral (
            select a.* from destination_decisions a
            where a.destination = name and a.cause not in ('rate', 'setting', 'throttled', 'unthrottled')
            order by a.decision desc limit 1
          ) b on true
          left join lateral (
            select a.cause from destination_decisions a
            where a.destination = name and a.cause in ('throttled', 'unthrottled')
            order by a.decision desc limit 1
          ) t on true
        ) l;
      decided := decided - 'position';
      exit when stored is not distinct from decided;
    end loop;
    continue when stored is not distinct from decided;
    insert into destinations as d (destination, decision, state_decision, state, cause, since, until, rate_limit, rate_burst,
        throttled_at, throttled_rate, next_probe_at, probe_delay_ms, probe_message_id, probe_attempt, probe_ends_at)
      select name, r.decision, r.state_decision, r.state, r.cause, r.since, r.until, r.rate_limit, r.rate_burst,
        case when r.is_throttled then clock_timestamp() end, case when r.is_throttled then 1 end,
        case when held_at is not null then clock_timestamp() end, case when held_at is not null then 5000 end,
        p.message_id, p.attempts, p.lease_ends_at
      from jsonb_to_record(decided) as r(decision int, state_decision int, state text, cause text, since timestamptz,
        until timestamptz, rate_limit double precision, rate_burst int, is_throttled boolean)
      left join lateral (
        select m.message_id, m.attempts, m.lease_ends_at
        from (
          select u.message_id from lease_checks k
          join event_positions e on e.position = k.position
          cross join lateral unnest(e.message_ids) as u(message_id)
          where k.position > held_at
          union
          select o.message_id from overdue_attempts o
        ) s
        join message_states m on m.message_id = s.message_id and m.status = 'processing'
        join message_events e on e.message_id = m.message_id and e.type = 'attempt_started' and e.attempt = m.attempts
        where e.position > held_at
        order by e.position desc limit 1
      ) p on true
      on conflict (destination) do update set decision = excluded.decision, state_decision = excluded.state_decision,
        rate_limit = excluded.rate_limit, rate_burst = excluded.rate_burst, throttled_at = excluded.throttled_at,
        throttled_rate = excluded.throttled_rate, throttled_from = null, not_before = null, state = excluded.state, cause = excluded.cause,
        since = excluded.since, until = excluded.until, failures = 0, refusals = 0, last_reason = null, probes = 0,
        next_probe_at = excluded.next_probe_at, probe_delay_ms = excluded.probe_delay_ms,
        probe_message_id = excluded.probe_message_id, probe_attempt = excluded.probe_attempt,
        probe_ends_at = excluded.probe_ends_at;
    perform pg_notify('destination_changed', name);
    return query
      select name, c.field, c.was, c.became
      from (
        select b.key as field, s.value as was, b.value as became
        from jsonb_each_text(decided) b join jsonb_each_text(stored) s on s.key = b.key
        where s.value is distinct from b.value
        union all
        select null, null, decided ->> 'state' where stored is null
      ) c
      order by c.field;
  end loop;
end
$function$
;

CREATE OR REPLACE FUNCTION public.rebuild_failures()
 RETURNS TABLE(minute timestamp with time zone, pattern text, was text, became text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
AS $function$
#variable_conflict use_column
begin
  perform pg_advisory_xact_lock(hashtextextended('fold_counts', 0));
  -- Before the snapshot of the statement below is taken, in the order of drop_segment. Else a segment may be dropped between the two: its
  -- events would be gone, and what its archive gave would not be seen yet.
  lock table only message_states, only records, only message_events in access share mode;
  return query
  with by_minute as (
    select c.minute, c.pattern, c.n, c.last_at, c.examples from count_failures_of() c
    union all
    select a.minute, a.pattern, a.n, a.last_at, a.examples from archived_failures a
  ),
  counted as (
    select aged_minute(m.minute, b.hours_below, b.days_below) as minute, m.pattern, sum(m.n)::bigint as n,
      max(m.last_at) as last_at, example_ids(m.examples) as examples
    from by_minute m
    cross join aged_below() b
    group by 1, 2
  ),
  stored as (
    select r.minute, r.pattern, sum(r.n)::bigint as n, max(r.last_at) as last_at, example_ids(r.examples) as examples
    from read_failures('-infinity', 'infinity') r
    group by 1, 2
    having sum(r.n) <> 0
  ),
  different as materialized (
    select minute, pattern, coalesce(c.n, 0) - coalesce(r.n, 0) as lacking, c.n, c.last_at, c.examples,
      format('%s, last at %s, such as %s', coalesce(r.n, 0), r.last_at, r.examples) as was,
      format('%s, last at %s, such as %s', coalesce(c.n, 0), c.last_at, c.examples) as became
    from counted c
    full join stored r using (minute, pattern)
    where (c.n, c.last_at, c.examples) is distinct from (r.n, r.last_at, r.examples)
  ),
  repaired as (
    insert into failure_rollups as r (minute, pattern, n, last_at, examples)
      select d.minute, d.pattern, d.lacking, coalesce(d.last_at, '-infinity'), coalesce(d.examples, '{}') from different d
    on conflict (minute, pattern) do update
      set n = r.n + excluded.n, last_at = excluded.last_at, examples = excluded.examples
  )
  select d.minute, d.pattern, d.was, d.became from different d order by 1, 2;
end
$function$
;

CREATE OR REPLACE FUNCTION public.rebuild_fold(in_message_ids bigint[])
 RETURNS SETOF message_states
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
AS $function$
begin
  return query
  with link as (
    select e.message_id, e.version, e.position, e.recorded_at, e.type, e.actor, e.status, e.retry_count, e.due_at, e.attempt,
      e.outcome, e.duration_ms, e.reason, e.reference, e.transaction_id,
      e.status is distinct from lag(e.status) over events
        or e.retry_count is distinct from lag(e.retry_count) over events
        or e.type = 'attempt_started' as updates,
      e.type in ('received', 'succeeded', 'attempt_failed', 'attempt_abandoned', 'replayed', 'rejected')
        or (e.type = 'conflict_received' and e.version = 1)
        or (e.type = 'late_result_observed' and e.status = 'success') as sets_error
    from message_events e
    where e.message_id = any (in_message_ids)
    window events as (partition by e.message_id order by e.version)
  ),
  fold as (
    select l.message_id,
      (array_agg(l.transaction_id order by l.version))[1] as transaction_id,
      max(l.version) as version,
      (array_agg(l.status order by l.version desc))[1] as status,
      (array_agg(l.retry_count order by l.version desc))[1] as retry_count,
      coalesce(max(l.attempt), 0) as attempts,
      (array_agg(l.due_at order by l.version desc))[1] as due_at,
      (array_agg(l.actor order by l.version desc) filter (where l.type = 'attempt_started'))[1] as claimed_by,
      (array_agg(case when l.status in ('failed', 'dead_letter') then l.reason end order by l.version desc)
        filter (where l.sets_error))[1] as error_message,
      coalesce(bool_or(l.outcome = 'unknown'), false) as outcome_unknown,
      coalesce((array_agg(is_slow(l.duration_ms) order by l.version desc)
        filter (where l.type in ('attempt_failed', 'attempt_abandoned')))[1], false) as is_slow,
      (array_agg(l.reference order by l.version desc)
        filter (where l.reference is not null and (l.type <> 'late_result_observed' or l.outcome = 'accepted')))[1] as reference,
      (array_agg(l.position order by l.version desc))[1] as position,
      (array_agg(l.recorded_at order by l.version))[1] as created_at,
      (array_agg(l.recorded_at order by l.version desc) filter (where l.updates))[1] as updated_at,
      (array_agg(l.recorded_at order by l.version desc))[1] as recorded_at
    from link l
    group by l.message_id
    having min(l.version) = 1
  )
  select f.message_id, f.created_at, f.position, f.updated_at, f.recorded_at,
    case when f.status <> 'processing' then f.due_at end, case when f.status = 'processing' then f.due_at end, f.version, f.retry_count, f.attempts,
    f.outcome_unknown, f.status, case when f.status = 'processing' then f.claimed_by end, f.error_message,
    queue_of(f.status), f.transaction_id collate "C", f.status = 'failed' and f.is_slow, f.reference
  from fold f;
end
$function$
;

CREATE OR REPLACE FUNCTION public.rebuild_inbox(in_above bigint, in_rows_max integer)
 RETURNS TABLE(message_id bigint, transaction_id text, was text, became text, reached bigint)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
AS $function$
#variable_conflict use_column
begin
  return query
  with first as materialized (
    select e.message_id, e.transaction_id, e.payload_sha256
    from message_events e where e.message_id > in_above and e.version = 1 order by e.message_id limit in_rows_max
  ),
  different as materialized (
    select f.message_id, f.transaction_id, f.payload_sha256, i.message_id as known, i.payload_sha256 as known_sha256
    from first f
    left join inbox i on i.transaction_id = f.transaction_id
    where (i.message_id, i.payload_sha256) is distinct from (f.message_id, f.payload_sha256)
  ),
  stored as (
    insert into inbox (transaction_id, message_id, payload_sha256)
    select d.transaction_id, d.message_id, d.payload_sha256 from different d where d.known is null
    order by d.transaction_id
    on conflict do nothing
  )
  select d.message_id, d.transaction_id::text, d.known || ' ' || encode(d.known_sha256, 'hex'),
    d.message_id || ' ' || encode(d.payload_sha256, 'hex'), null::bigint
  from different d
  union all
  select null, null, null, null, (select max(f.message_id) from first f);
end
$function$
;

CREATE OR REPLACE FUNCTION public.rebuild_partitions()
 RETURNS TABLE(topic text, partition integer, was text, became text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
#variable_conflict use_column
begin
  perform pg_advisory_xact_lock(hashtextextended('fold_counts', 0));
  return query
  with summed as (
    select f as stored, p.topic, p.partition, row (p.partition_id, a.*)::partition_folds as counted
    from partition_folds f
    join partitions p on p.partition_id = f.partition_id
    cross join lateral (
      select min(a.first_offset), max(a.next_offset), sum(a.received)::bigint, sum(a.duplicates)::bigint,
        sum(a.conflicts)::bigint, sum(a.rejected)::bigint, sum(a.holes)::bigint, sum(a.gaps)::bigint
      from partition_advances a where a.partition_id = p.partition_id and a.next_offset <= f.next_offset
    ) a
  ),
  removed as (
    -- The next fold adds it up from the start.
    delete from partition_folds f using summed s
    where f.partition_id = (s.stored).partition_id and s.stored is distinct from s.counted
  )
  select s.topic, s.partition, s.stored::text, s.counted::text from summed s where s.stored is distinct from s.counted order by 1, 2;
end
$function$
;

CREATE OR REPLACE FUNCTION public.rebuild_positions(in_above bigint, in_rows_max integer)
 RETURNS TABLE(message_id bigint, transaction_id text, version integer, reached bigint)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
AS $function$
#variable_conflict use_column
begin
  return query
  with looked_at as materialized (
    select e.message_id, e.transaction_id
    from message_events e where e.message_id > in_above and e.version = 1 order by e.message_id limit in_rows_max
  ),
  missing as materialized (
    select e.message_id, l.transaction_id, e.version, e.position
    from looked_at l
    join message_events e on e.message_id = l.message_id
    where not exists (
      select from event_positions p where p.position = e.position and e.message_id = any (p.message_ids)
    )
  ),
  stored as (
    insert into event_positions (position, message_ids)
    select m.position, array_agg(distinct m.message_id) from missing m group by m.position
  )
  select m.message_id, m.transaction_id::text, m.version, null::bigint from missing m
  union all
  select null, null, null, (select max(l.message_id) from looked_at l);
end
$function$
;

CREATE OR REPLACE FUNCTION public.rebuild_rollups()
 RETURNS TABLE(minute timestamp with time zone, measure text, bucket integer, was bigint, became bigint)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
AS $function$
#variable_conflict use_column
begin
  perform pg_advisory_xact_lock(hashtextextended('fold_counts', 0));
  -- Before the snapshot of the statement below is taken, in the order of drop_segment. Else a segment may be dropped between the two: its
  -- events would be gone, and what its archive gave would not be seen yet.
  lock table only message_states, only records, only message_events in access share mode;
  return query
  -- By the minute, whatever has aged.
  with by_minute as (
    select c.minute, c.measure, c.bucket, c.n from count_rollups() c
    union all
    select a.minute, a.measure, a.bucket, a.n from archived_rollups a
    union all
    select date_bin('1 minute', d.recorded_at, 'epoch'), 'duplicates', 0, count(*) from archived_duplicates d group by 1
  ),
  counted as (
    select aged_minute(m.minute, b.hours_below, b.days_below) as minute, m.measure, m.bucket,
      case when is_maximum(m.measure) then max(m.n) else sum(m.n)::bigint end as n
    from by_minute m
    cross join aged_below() b
    group by 1, 2, 3
  ),
  stored as (
    select r.minute, r.measure, r.bucket, case when is_maximum(r.measure) then max(r.n) else sum(r.n)::bigint end as n
    from read_rollups('-infinity', 'infinity', null) r
    group by 1, 2, 3
  ),
  different as materialized (
    select minute, measure, bucket, coalesce(r.n, 0) as was, coalesce(c.n, 0) as became
    from counted c
    full join stored r using (minute, measure, bucket)
    where coalesce(r.n, 0) <> coalesce(c.n, 0)
  ),
  repaired as (
    insert into rollups as r (minute, measure, bucket, n)
      select d.minute, d.measure, d.bucket, case when is_maximum(d.measure) then d.became else d.became - d.was end
      from different d
    on conflict (minute, measure, bucket) do update
      set n = case when is_maximum(r.measure) then excluded.n else r.n + excluded.n end
  )
  select d.minute, d.measure, d.bucket, d.was, d.became from different d order by 1, 2, 3;
end
$function$
;

CREATE OR REPLACE FUNCTION public.rebuild_states(in_above bigint, in_rows_max integer)
 RETURNS TABLE(message_id bigint, transaction_id text, field text, was text, became text, reached bigint)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
AS $function$
#variable_conflict use_column
declare
  ids bigint[];
  broken bigint[];
begin
  ids := array(
    select k.message_id from (
      (select e.message_id from message_events e where e.message_id > in_above and e.version = 1 order by 1 limit in_rows_max)
      union
      (select s.message_id from message_states s where s.message_id > in_above order by 1 limit in_rows_max)
    ) k
    order by 1 limit in_rows_max
  );
  broken := array(
    select i.message_id
    from unnest(ids) as i(message_id)
    left join rebuild_fold(ids) f on f.message_id = i.message_id
    left join message_states s on s.message_id = i.message_id
    where f is distinct from s
  );
  if cardinality(broken) > 0 then
    perform from message_states s where s.message_id = any (broken) order by s.message_id for no key update;
    return query
    with different as materialized (
      select i.message_id, s as stored, f as folded
      from unnest(broken) as i(message_id)
      left join rebuild_fold(broken) f on f.message_id = i.message_id
      left join message_states s on s.message_id = i.message_id
      where f is distinct from s
    ),
    removed as (
      delete from message_states s using different d where s.message_id = d.message_id and (d.folded).message_id is null
    ),
    repaired as (
      insert into message_states as s
      select (d.folded).* from different d where (d.folded).message_id is not null
      on conflict (message_id) do update set (transaction_id, version, status, retry_count, attempts, due_at, lease_ends_at,
          queue, claimed_by, error_message, outcome_unknown, is_slow, position, created_at, updated_at, recorded_at, reference)
        = row (excluded.transaction_id, excluded.version, excluded.status, excluded.retry_count, excluded.attempts,
          excluded.due_at, excluded.lease_ends_at, excluded.queue, excluded.claimed_by, excluded.error_message, excluded.outcome_unknown, excluded.is_slow, excluded.position,
          excluded.created_at, excluded.updated_at, excluded.recorded_at, excluded.reference)
    )
    select d.message_id, coalesce((d.folded).transaction_id, (d.stored).transaction_id)::text, c.field, c.was, c.became,
      null::bigint
    from different d
    cross join lateral (
      select field, w.value as was, b.value as became
      from jsonb_each_text(to_jsonb(d.stored)) w (field, value)
      full join jsonb_each_text(to_jsonb(d.folded)) b (field, value) using (field)
      where (d.stored).message_id is not null and (d.folded).message_id is not null and w.value is distinct from b.value
      union all
      select null, (d.stored).status, (d.folded).status
      where (d.stored).message_id is null or (d.folded).message_id is null
    ) c
    order by d.message_id, c.field;
    -- A repaired message may be due.
    perform pg_notify('message_due', ''), pg_notify('message_events', '');
  end if;
  -- What is open is looked at when its lease has ended, also if `lease_checks` does not lead to it any more.
  insert into overdue_attempts (message_id, lease_ends_at)
    select s.message_id, s.lease_ends_at from message_states s
    where s.message_id = any (ids) and s.status = 'processing' and s.lease_ends_at is not null
    order by 1, 2
    on conflict do nothing;
  return query select null::bigint, null, null, null, null, ids[cardinality(ids)];
end
$function$
;

CREATE OR REPLACE FUNCTION public.recognize_server(in_actor text, in_change text, in_seen bigint)
 RETURNS TABLE(change text, epoch integer, timeline integer, from_timeline integer, lost_positions bigint)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
#variable_conflict use_column
declare
  -- More positions than can be lost unseen, and more message ids than one position can have used (a slice has at most 250
  -- records).
  margin constant bigint := 1000000;
  ids_each constant bigint := 500;
  here_system text := (select system_identifier::text from pg_control_system());
  here_timeline int := ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int;
  here_position bigint;
  known server_changes;
  lost bigint;
  is_rewound boolean;
  begun int;
begin
  for attempt in 1 .. 2 loop
    here_position := last_position();
    lost := greatest(in_seen - here_position, 0);
    known := null;
    select c.* into known from server_changes c order by c.epoch desc limit 1;
    -- If this log has a change that the caller does not know, then what the caller saw before says nothing about this log. If the
    -- caller knows a change that this log does not have, then this log was put back.
    is_rewound := lost > 0 and (in_change = server_change(known) or not exists (
      select from server_changes c where server_change(c) = in_change
    ));
    exit when known.system_identifier = here_system and known.timeline = here_timeline and is_rewound is not true;
    -- A log from an older cluster: an operator begins an epoch first, because nothing can be appended until then.
    exit when rewound_by(log_floor()) > 0;
    if attempt = 1 then
      -- Every transaction that appends holds a lock on this table (current_position), so none is open while the change is recorded.
      -- Who only reads does not wait, and is not waited for: a dump that was begun on the standby may take hours. Then look
      -- once more, because another instance may have recorded the change.
      lock table log_epochs in exclusive mode;
      continue;
    end if;
    if known.epoch is null then
      insert into server_changes (epoch, actor, system_identifier, timeline, position)
        select max(l.epoch), in_actor, here_system, here_timeline, here_position from log_epochs l;
    else
      insert into log_epochs as l (epoch, base, actor, reason)
        select max(o.epoch) + 1, max(o.base) + margin + lost, in_actor,
          format('the server changed: system %s, timeline %s, last position %s', here_system, here_timeline, here_position)
        from log_epochs o
        returning l.epoch into begun;
      perform setval('message_ids', greatest(nextval('message_ids'), (select max(s.message_id) from message_states s))
        + margin + lost * ids_each);
      insert into server_changes (epoch, actor, system_identifier, timeline, position, from_system_identifier, from_timeline,
          from_position, lost_after)
        select begun, in_actor, here_system, here_timeline, here_position, known.system_identifier, known.timeline, in_seen,
          least(pg_last_xact_replay_timestamp(), (
            select max(e.recorded_at)
            from (select position, message_ids from event_positions order by position desc limit 1) p
            join message_events e on e.message_id = any (p.message_ids) and e.position = p.position
          ));
    end if;
    select c.* into strict known from server_changes c order by c.epoch desc limit 1;
  end loop;
  return query
    select server_change(known), known.epoch, known.timeline,
      known.from_timeline, greatest(known.from_position - known.position, 0)
    where known.epoch is not null;
end
$function$
;

CREATE OR REPLACE FUNCTION public.record_accesses(in_accesses jsonb)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  last bigint;
begin
  with recorded as (
    insert into accesses (kind, actor, role, address, instance, name, amount, transaction_ids, started, details)
      select a.kind, a.actor, a.role, a.address, a.instance, a.name, coalesce(a.amount, 1), a.transaction_ids, a.started,
        coalesce(a.details, '{}')
      from jsonb_to_recordset(in_accesses) as a (kind text, actor text, role text, address text, instance text, name text,
        amount bigint, transaction_ids text[], started bigint, details jsonb)
      returning access
  )
  select max(r.access) into last from recorded r;
  return last;
end
$function$
;

CREATE OR REPLACE FUNCTION public.record_id(in_topic text, in_partition integer, in_incarnation integer, in_offset bigint)
 RETURNS text
 LANGUAGE sql
 STABLE
AS $function$
  select concat_ws(':', 'record', in_topic, in_partition, in_offset, nullif(in_incarnation, 1))
$function$
;

CREATE OR REPLACE FUNCTION public.record_inquiry(in_actor text, in_message_id bigint, in_transaction_id text, in_lease_ends_at timestamp with time zone, in_inquiry text, in_status_code integer, in_duration_ms integer, in_reason text, in_gap_ms bigint, in_delay_ms bigint, in_verdict text, in_reference text DEFAULT NULL::text)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
AS $function$
declare
  target destinations := enter_destination('default');
  held message_states;
  written_at timestamptz;
  delay_ms bigint;
begin
  if in_inquiry is null or in_inquiry not in ('carried_out', 'refused', 'in_progress', 'not_found', 'no_answer') then
    raise exception 'there is no answer %', in_inquiry using errcode = 'invalid_parameter_value';
  end if;
  select * into held from message_states s where s.message_id = in_message_id for no key update;
  if not found or held.status not in ('pending', 'failed') or held.transaction_id <> in_transaction_id
      or held.due_at is distinct from in_lease_ends_at then
    return 'stale';
  end if;
  written_at := greatest(clock_timestamp(), held.recorded_at);
  delay_ms := case in_inquiry
      when 'not_found' then case when coalesce((select d.not_founds from doubt_of(in_message_id) d), 0) >= 1 then 0 else in_gap_ms end
      when 'in_progress' then in_delay_ms
      when 'no_answer' then in_delay_ms
    end;
  insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, inquiry, status_code,
      duration_ms, reason, reference)
    values (in_message_id, held.version + 1, greatest(current_position(), held.position), written_at, 'inquired', in_actor, held.status,
      held.retry_count, written_at + delay_ms * interval '1 millisecond', in_inquiry, in_status_code, in_duration_ms, in_reason, in_reference);
  if in_inquiry = 'carried_out' then
    -- A failover may have lost every attempt.
    perform append_late(in_actor, in_message_id, nullif(held.attempts, 0), format('attempt %s', held.attempts), 'accepted', null, null,
      'the processor said so when it was asked');
  elsif in_inquiry = 'refused' then
    insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, reason)
      values (in_message_id, held.version + 2, greatest(current_position(), held.position), written_at, 'dead_lettered', in_actor,
        'dead_letter', held.retry_count, 'refused');
  end if;
  perform refuse_unprojected();
  -- As the probe of a held destination it says whether that works again. Otherwise a status address says nothing of whether payments are
  -- taken: it neither holds the destination nor ends a row of failures.
  if target.state = 'held' and target.probe_message_id = in_message_id and target.probe_attempt is null then
    perform note_verdicts(target.destination, array[in_message_id], array[null::int],
      array[case in_verdict when 'failure' then 'failure' else 'other' end], array[in_reason]);
  end if;
  return 'recorded';
end
$function$
;

CREATE OR REPLACE FUNCTION public.record_start(in_instance text, in_release text, in_salt text, in_settings jsonb)
 RETURNS text[]
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  before jsonb;
  changed text[];
begin
  -- One start at a time, so that each is compared with the one before it.
  perform pg_advisory_xact_lock(7233841904);
  select a.details into before
    from accesses a
    where a.kind = 'service_started' and a.instance is distinct from in_instance
    order by a.access desc
    limit 1;
  if before is not null then
    changed := array(
      select coalesce(b.key, n.key)
      from jsonb_each_text(before -> 'settings') b
      full join jsonb_each_text(in_settings) n on n.key = b.key
      where b.value is distinct from n.value
      order by 1);
  end if;
  if not exists (select from accesses a where a.kind = 'service_started' and a.instance = in_instance) then
    insert into accesses (kind, instance, name, details)
      values ('service_started', in_instance, 'start', jsonb_build_object('release', in_release, 'salt', in_salt, 'settings', in_settings,
        'changed', to_jsonb(changed)));
  end if;
  return changed;
end
$function$
;

CREATE OR REPLACE FUNCTION public.refuse_change()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  raise exception '% on % is refused: the log is append-only', tg_op, tg_table_name using errcode = 'insufficient_privilege';
end
$function$
;

CREATE OR REPLACE FUNCTION public.refuse_unprojected()
 RETURNS void
 LANGUAGE plpgsql
AS $function$
begin
  if current_setting('tqp.projected', true) is distinct from 'yes' then
    raise exception 'what is appended to the log has no effect: the trigger project of message_events is off or gone'
      using errcode = 'object_not_in_prerequisite_state', hint = 'alter table message_events enable trigger project';
  end if;
end
$function$
;

CREATE OR REPLACE FUNCTION public.register_instance(in_instance text, in_release text, in_fresh_max integer, in_retry_max integer, in_lease_ms bigint, in_timeout_ms bigint, in_retries_max integer, in_base_delay_ms bigint, in_max_delay_ms bigint, in_key_window_ms bigint DEFAULT NULL::bigint, in_inquiry_gap_ms bigint DEFAULT NULL::bigint, in_destination_url text DEFAULT NULL::text)
 RETURNS timestamp with time zone
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  insert into instances (instance, release, fresh_max, retry_max, lease_ms, timeout_ms, retries_max, base_delay_ms,
      max_delay_ms, key_window_ms, inquiry_gap_ms, destination_url)
    values (in_instance, in_release, in_fresh_max, in_retry_max, in_lease_ms, in_timeout_ms, in_retries_max,
      in_base_delay_ms, in_max_delay_ms, in_key_window_ms, in_inquiry_gap_ms, in_destination_url)
    on conflict (instance) do nothing;
  return clock_timestamp();
end
$function$
;

CREATE OR REPLACE FUNCTION public.replay_messages(in_transaction_ids text[], in_actor text, in_reason text, in_request_key text, in_confirmed boolean DEFAULT false, in_key_window_ms bigint DEFAULT NULL::bigint, in_lease_ms bigint DEFAULT 0)
 RETURNS TABLE(place bigint, answer text, version integer, status text, window_ended_at timestamp with time zone)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
#variable_conflict use_column
declare
  ids bigint[];
begin
  ids := array(
    select i.message_id
    from unnest(in_transaction_ids) with ordinality as u (transaction_id, place)
    left join lateral (
      select b.message_id from inbox b where b.transaction_id = u.transaction_id collate "C" limit 1
    ) i on true
    order by u.place
  );
  -- In the order of message ids, as everywhere, so that two requests never wait for each other in a circle.
  perform from message_states s where s.message_id = any (ids) order by s.message_id for no key update;
  -- A statement of its own, because it sees what the other request did that the one above waited for.
  return query
  with input as materialized (
    select u.place, u.message_id, m.version, m.status, m.position, m.recorded_at,
      m.status = 'dead_letter' and f.type = 'received' and x.version is null and d.message_id is null as is_replayable,
      w.ends_at as window_ended_at,
      in_confirmed and m.outcome_unknown and exists (select from doubt_of(u.message_id)) as is_in_doubt,
      case
        when d.resolution is not null then 'resolved'
        when d.message_id is not null then 'on_hold'
        when m.status = 'dead_letter' and f.type = 'received' and x.version is not null then 'expunged'
        else 'not_replayable'
      end as refusal,
      a.version as accepted_version, a.reason as accepted_reason,
      row_number() over (partition by u.message_id order by u.place) = 1 as is_first
    from unnest(ids) with ordinality as u (message_id, place)
    left join lateral (
      select s.version, s.status, s.position, s.recorded_at, s.outcome_unknown from message_states s where s.message_id = u.message_id limit 1
    ) m on true
    left join lateral (
      select e.type from message_events e where e.message_id = u.message_id and e.version = 1 limit 1
    ) f on true
    left join lateral (
      select e.version from message_events e where e.message_id = u.message_id and e.type = 'expunged' limit 1
    ) x on true
    left join lateral (
      select k.message_id, k.resolution from decided_messages k where k.message_id = u.message_id limit 1
    ) d on true
    left join lateral (
      select k.ends_at from key_window_ends_at(u.message_id, in_key_window_ms) as k (ends_at)
      where m.outcome_unknown and k.ends_at < clock_timestamp() + in_lease_ms * interval '1 millisecond'
    ) w on true
    left join lateral (
      select e.version, e.reason from message_events e
      where in_request_key is not null and e.message_id = u.message_id and e.type = 'replayed' and e.actor = in_actor
        and e.request_key = in_request_key
      limit 1
    ) a on true
  ),
  judged as materialized (
    select i.*, i.is_replayable and (in_confirmed or i.window_ended_at is null) as is_opened,
      case
        when i.version is null then 'unknown'
        when i.accepted_reason = in_reason then 'repeated'
        when i.accepted_version is not null then 'key_reused'
        when not i.is_replayable then i.refusal
        when i.window_ended_at is not null and not in_confirmed then 'key_window_passed'
        when i.is_first then 'replayed'
        when in_request_key is not null then 'repeated'
        else 'not_replayable'
      end as answer
    from input i
  ),
  appended as (
    insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, reason,
      request_key, confirmed_not_carried_out)
    select j.message_id, j.version + 1, greatest((select current_position()), j.position), t.replayed_at, 'replayed', in_actor,
      'pending', 0, t.replayed_at, in_reason, in_request_key,
      case when in_confirmed and j.is_in_doubt then true end
    from judged j
    cross join lateral (select greatest(clock_timestamp(), j.recorded_at) as replayed_at) t
    where j.answer = 'replayed'
    order by j.message_id
  )
  select j.place, j.answer,
    case when j.accepted_version is not null then j.accepted_version when j.is_opened then j.version + 1 else j.version end,
    case when j.accepted_version is null and j.is_opened then 'pending' else j.status end,
    case when j.answer = 'key_window_passed' then j.window_ended_at end
  from judged j
  order by j.place;
  perform refuse_unprojected();
end
$function$
;

CREATE OR REPLACE FUNCTION public.resolve_letters(in_message_ids bigint[], in_resolution text, in_actor text, in_reason text, in_request_key text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
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
$function$
;

CREATE OR REPLACE FUNCTION public.resume_destination(in_destination text, in_actor text, in_reason text)
 RETURNS TABLE(answer text, decision integer, state text, since timestamp with time zone, actor text, reason text, until timestamp with time zone)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
#variable_conflict use_column
declare
  place destinations := lock_destination(in_destination);
begin
  answer := case when place.state in ('held', 'paused') then 'resumed' else 'not_stopped' end;
  if answer = 'resumed' then
    place := append_decision(place, 'ramping', 'operator', in_actor, in_reason);
  end if;
  return query
    select answer, place.decision, place.state, place.since, l.actor, l.reason, place.until
    from (values (1)) as one
    left join destination_decisions l on l.destination = place.destination and l.decision = place.decision;
end
$function$
;

CREATE OR REPLACE FUNCTION public.rewound_by(in_position bigint)
 RETURNS bigint
 LANGUAGE sql
 STABLE
AS $function$
  select in_position
    - greatest(pg_snapshot_xmax(pg_current_snapshot())::text::bigint, pg_current_xact_id_if_assigned()::text::bigint + 1)
    - (select base from log_epochs order by epoch desc limit 1)
$function$
;

CREATE OR REPLACE FUNCTION public.segment_changed(in_first bigint, in_next bigint, in_seen pg_snapshot, in_base bigint)
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
AS $function$
  select exists (
    select from event_positions p
    cross join (select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as next) n
    where p.position >= pg_snapshot_xmin(in_seen)::text::bigint + in_base
      and not (
        pg_visible_in_snapshot((p.position - in_base)::text::xid8, in_seen)
        and pg_visible_in_snapshot((n.next - ((n.next - p.xmin::text::bigint) & 4294967295))::text::xid8, in_seen)
      )
      and exists (select from unnest(p.message_ids) as m(message_id) where m.message_id >= in_first and m.message_id < in_next)
  )
$function$
;

CREATE OR REPLACE FUNCTION public.server_change(in_change server_changes)
 RETURNS text
 LANGUAGE sql
 STABLE
AS $function$
  select in_change.epoch || '@' || lease_micros(in_change.recorded_at)
$function$
;

CREATE OR REPLACE FUNCTION public.set_rate_limit(in_destination text, in_actor text, in_reason text, in_cause text, in_per_second double precision, in_burst integer)
 RETURNS TABLE(answer text, decision integer, state text, since timestamp with time zone, actor text, reason text, until timestamp with time zone)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
#variable_conflict use_column
declare
  place destinations := lock_destination(in_destination);
  burst int := case when in_per_second is not null then coalesce(in_burst, greatest(2, ceil(in_per_second / 5))::int) end;
  known record;
begin
  if in_cause = 'setting' then
    select c.rate_limit, c.rate_burst into known from destination_decisions c
      where c.destination = in_destination and c.cause = 'setting' order by c.decision desc limit 1;
  else
    select place.rate_limit, place.rate_burst into known;
  end if;
  answer := case when (known.rate_limit, known.rate_burst) is distinct from (in_per_second, burst) then 'rate_set'
    else 'rate_unchanged' end;
  if answer = 'rate_set' then
    place.rate_limit := in_per_second;
    place.rate_burst := burst;
    -- A slot of the old limit may be far away.
    update destinations d set
      next_slot_at = case when d.next_slot_at is not null
        then least(d.next_slot_at, clock_timestamp() + burst / in_per_second * interval '1 second') end
    where d.destination = in_destination;
    place := append_decision(place, place.state, in_cause, in_actor, in_reason);
  end if;
  return query
    select answer, place.decision, place.state, l.recorded_at, l.actor, l.reason, place.until
    from (values (1)) as one
    left join destination_decisions l on l.destination = place.destination and l.decision = place.decision;
end
$function$
;

CREATE OR REPLACE FUNCTION public.settle_attempts(in_actor text, in_message_ids bigint[], in_transaction_ids text[], in_attempts integer[], in_leases timestamp with time zone[], in_outcomes text[], in_status_codes integer[], in_durations_ms integer[], in_reasons text[], in_delays_ms bigint[], in_spared_delays_ms bigint[], in_verdicts text[], in_references text[] DEFAULT NULL::text[])
 RETURNS text[]
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
declare
  target destinations := enter_destination('default');
  spares boolean := target.state <> 'flowing';
  settled_at timestamptz := clock_timestamp();
  -- The planner's start of a statement costs for each segment; these two leave out the segments that have none of the messages.
  first_id bigint := (select min(u.id) from unnest(in_message_ids) as u(id));
  last_id bigint := (select max(u.id) from unnest(in_message_ids) as u(id));
  verdicts text[] := in_verdicts;
  answers text[];
  late int;
begin
  -- What was sent before the ramp says nothing of how the destination does since.
  if target.state = 'ramping' and in_verdicts is not null then
    select array_agg(case when u.verdict = 'failure' and s.position < d.position then 'none' else u.verdict end order by u.place)
      into verdicts
      from unnest(in_message_ids, in_verdicts) with ordinality as u(message_id, verdict, place)
      left join message_states s on s.message_id = u.message_id
      left join destination_decisions d on d.destination = target.destination and d.decision = target.state_decision;
  end if;
  -- A statement of its own locks the messages. One that locks and reads loses rows after it has waited for a lock, where segments are left
  -- out both by these bounds and by each message's id (PostgreSQL 18; test/log/write/segments-locked.test.ts).
  perform from message_states s
    where s.message_id = any (in_message_ids) and s.message_id between first_id and last_id
    order by s.message_id for no key update;
  with input as materialized (
    select i.message_id, i.attempt, i.outcome, i.status_code, i.duration_ms, i.reason, i.reference, i.place, i.spared_delay_ms, w.is_spared,
      case when w.is_spared then coalesce(i.delay_ms, i.spared_delay_ms) else i.delay_ms end as delay_ms,
      m.version, m.retry_count, m.position, m.recorded_at,
      m.status = 'processing' and m.attempts = i.attempt and m.claimed_by = in_actor and m.lease_ends_at = i.lease_ends_at
        and m.transaction_id = i.transaction_id as is_open
    from (
      select * from unnest(in_message_ids, in_transaction_ids, in_attempts, in_leases, in_outcomes, in_status_codes,
          in_durations_ms, in_reasons, in_delays_ms, in_spared_delays_ms, in_references)
        with ordinality as u(message_id, transaction_id, attempt, lease_ends_at, outcome, status_code, duration_ms, reason,
          delay_ms, spared_delay_ms, reference, place)
      order by u.message_id
    ) i
    cross join lateral (
      select spares and i.outcome not in ('accepted', 'refused') and (i.delay_ms is not null or i.spared_delay_ms is not null) as is_spared
    ) w
    left join lateral (
      select s.version, s.retry_count, s.position, s.recorded_at, s.status, s.attempts, s.claimed_by, s.lease_ends_at,
        s.transaction_id
      from message_states s
      where s.message_id = i.message_id and s.message_id between first_id and last_id limit 1
    ) m on true
  ),
  appended as (
    insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, attempt,
      outcome, status_code, duration_ms, reason, reference)
    select i.message_id, i.version + e.step, greatest((select current_position()), i.position),
      greatest(settled_at, i.recorded_at), e.type, in_actor, e.status, e.retry_count, e.due_at, i.attempt, e.outcome,
      e.status_code, e.duration_ms, e.reason, e.reference
    from input i
    cross join lateral (
      select 1 as step, 'succeeded' as type, 'success' as status, i.retry_count, null::timestamptz as due_at, i.outcome,
        i.status_code, i.duration_ms, i.reason, i.reference
      where i.outcome = 'accepted'
      union all
      select 1, 'attempt_failed', 'failed',
        i.retry_count + case
          when i.is_spared or i.delay_ms is null or i.outcome = 'not_sent' and i.duration_ms is null then 0 else 1 end,
        greatest(settled_at, i.recorded_at) + i.delay_ms * interval '1 millisecond', i.outcome, i.status_code, i.duration_ms,
        i.reason, i.reference
      where i.outcome <> 'accepted'
      union all
      select 2, 'dead_lettered', 'dead_letter', i.retry_count, null, null, null, null,
        case
          when i.outcome = 'refused' then 'refused'
          when i.outcome = 'unknown' and i.spared_delay_ms is null then 'outcome unknown, of a status that is not retried'
          else 'retries exhausted' end, null
      where i.outcome <> 'accepted' and i.delay_ms is null
    ) e
    where i.is_open
    order by 1, 2
  )
  select array_agg(case when i.is_open then case when i.is_spared then 'spared' else 'appended' end end order by i.place) into answers from input i;
  perform refuse_unprojected();

  for late in select place from unnest(answers) with ordinality as a(answer, place) where answer is null
    order by in_message_ids[place]
  loop
    answers[late] := observe_late(
      in_actor => in_actor,
      in_message_id => in_message_ids[late],
      in_transaction_id => in_transaction_ids[late],
      in_attempt => in_attempts[late],
      in_lease_ends_at => in_leases[late],
      in_outcome => in_outcomes[late],
      in_status_code => in_status_codes[late],
      in_duration_ms => in_durations_ms[late],
      in_reason => in_reasons[late],
      in_reference => in_references[late]);
  end loop;
  -- Nothing is written while all attempts succeed. What was in the log already was counted when it was appended.
  if (in_verdicts is not null or target.state <> 'flowing' or target.failures > 0 or target.refusals > 0)
      and exists (select from unnest(answers) as a(answer) where a.answer <> 'already') then
    perform note_verdicts(target.destination, in_message_ids, in_attempts, verdicts, in_reasons);
  end if;
  return answers;
end
$function$
;

CREATE OR REPLACE FUNCTION public.share_slots(in_place destinations, in_queue text, in_at timestamp with time zone, OUT slots integer, OUT first_at timestamp with time zone, OUT free_at timestamp with time zone)
 RETURNS record
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  -- As long as a lane needs to look.
  patience constant interval := '30 milliseconds';
  free record := free_slots(in_place, in_at);
  pace record := pace_of(in_place, in_at);
  one_free_at timestamptz := greatest(in_place.not_before,
    coalesce(in_place.next_slot_at, '-infinity') - (pace.burst - 1) / pace.rate * interval '1 second');
begin
  slots := free.slots;
  first_at := free.first_at;
  free_at := free.free_at;
  if slots > 0 and earliest_due(case in_queue when 'pending' then 'failed' else 'pending' end, null, '-infinity') <= in_at then
    slots := case
      when slots > 1 then (slots + case when in_place.last_queue = in_queue then 0 else 1 end) / 2
      when in_place.last_queue is distinct from in_queue or one_free_at + patience <= in_at then 1
      else 0
    end;
    free_at := case when slots = 0 then one_free_at + patience else in_at end;
  end if;
end
$function$
;

CREATE OR REPLACE FUNCTION public.start_job(in_plan bigint, in_kind text, in_resolution text, in_actor text, in_reason text, in_per_second double precision, in_ramp_from double precision, in_stop_share double precision, in_stop_after integer, in_is_confirmed boolean, in_request_key text)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  planned replay_plans;
  job replay_jobs;
  state replay_job_states;
  at timestamptz;
begin
  if in_kind = 'resolve' and coalesce(in_resolution in ('carried_out', 'not_carried_out', 'duplicate', 'ignored'), false) is not true then
    raise exception 'no resolution %', in_resolution using errcode = 'invalid_parameter_value';
  end if;
  -- Of two who start it the second waits here, and then finds the job.
  select * into planned from replay_plans p where p.plan = in_plan for update;
  if not found then
    return 'unknown';
  end if;
  at := clock_timestamp();
  select * into job from replay_jobs j where j.job = in_plan;
  if found then
    return case
      when in_request_key is null or job.actor <> in_actor or job.request_key is distinct from in_request_key then 'already_started'
      when (job.kind, job.resolution, job.per_second, job.ramp_from, job.stop_share, job.stop_after, job.is_confirmed)
        is not distinct from (in_kind, in_resolution, in_per_second, in_ramp_from, in_stop_share, in_stop_after, in_is_confirmed)
        and job.reason = coalesce(in_reason, planned.reason) then 'repeated'
      else 'key_reused'
    end;
  end if;
  if planned.expires_at <= at then
    return 'expired';
  end if;
  insert into replay_jobs (job, kind, resolution, started_at, actor, reason, request_key, per_second, ramp_from, stop_share, stop_after,
      is_confirmed)
    values (in_plan, in_kind, in_resolution, at, in_actor, coalesce(in_reason, planned.reason), in_request_key, in_per_second,
      in_ramp_from, in_stop_share, in_stop_after, in_is_confirmed);
  insert into replay_job_states (job, state, version, is_active, per_second, ramp_from, running_since, next_at, skipped, rate_since, told_at)
    values (in_plan, 'running', 0, true, in_per_second, in_ramp_from, at, at,
      case in_kind when 'replay' then (
        select coalesce(jsonb_object_agg(n ->> 'key', n -> 'count'), '{}') from jsonb_array_elements(planned.not_replayable) n
      ) else '{}' end, at, at)
    returning * into state;
  state := append_job_event(state, 'started', in_actor, coalesce(in_reason, planned.reason));
  update replay_job_states s set version = state.version where s.job = in_plan;
  return 'started';
end
$function$
;

CREATE OR REPLACE FUNCTION public.start_salt()
 RETURNS text
 LANGUAGE sql
 STABLE
AS $function$
  select a.details ->> 'salt' from accesses a where a.kind = 'service_started' order by a.access desc limit 1
$function$
;

CREATE OR REPLACE FUNCTION public.status_counts()
 RETURNS TABLE(pending bigint, processing bigint, success bigint, failed bigint, dead_letter bigint)
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
#variable_conflict use_column
begin
  return query
  select f.pending + coalesce(d.pending, 0), f.processing + coalesce(d.processing, 0), f.success + coalesce(d.success, 0),
    f.failed + coalesce(d.failed, 0), f.dead_letter + coalesce(d.dead_letter, 0)
  from (select * from status_count_folds order by bound desc limit 1) f
  cross join lateral (
    select sum(c.pending)::bigint as pending, sum(c.processing)::bigint as processing, sum(c.success)::bigint as success,
      sum(c.failed)::bigint as failed, sum(c.dead_letter)::bigint as dead_letter
    from status_count_deltas c where c.position >= f.bound
  ) d;
end
$function$
;

CREATE OR REPLACE FUNCTION public.steer_job(in_job bigint, in_action text, in_actor text, in_reason text, in_per_second double precision DEFAULT NULL::double precision)
 RETURNS TABLE(answer text, state text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
#variable_conflict use_column
declare
  at timestamptz;
  found_state replay_job_states;
begin
  if coalesce(btrim(in_actor), '') = '' or coalesce(btrim(in_reason), '') = '' then
    raise exception 'a decision takes an actor and a reason' using errcode = 'invalid_parameter_value';
  end if;
  if in_action is null or in_action not in ('pause', 'resume', 'abort', 'pace') then
    raise exception 'there is no decision %', in_action using errcode = 'invalid_parameter_value';
  end if;
  select * into found_state from replay_job_states s where s.job = in_job for no key update;
  if not found then
    return query select 'unknown', null::text;
    return;
  end if;
  if found_state.state not in ('running', 'paused', 'stopped')
      or in_action = 'pause' and found_state.state <> 'running'
      or in_action = 'resume' and found_state.state = 'running' then
    return query select 'wrong_state', found_state.state;
    return;
  end if;
  at := clock_timestamp();
  if in_action = 'pace' then
    found_state.per_second := in_per_second;
    -- The operator has seen how it goes, so it need not rise any more.
    found_state.ramp_from := null;
  else
    found_state.state := case in_action when 'pause' then 'paused' when 'resume' then 'running' else 'aborted' end;
    found_state.waits_for := null;
    found_state.rate := null;
  end if;
  if in_action = 'resume' then
    found_state.recent := '';
    found_state.stopped_because := null;
    found_state.running_since := at;
    found_state.rate_since := at;
    found_state.rate_from := found_state.replayed;
  end if;
  found_state := append_job_event(found_state,
    case in_action when 'pause' then 'paused' when 'resume' then 'resumed' when 'abort' then 'aborted' else 'pace_changed' end,
    in_actor, in_reason);
  update replay_job_states s set
    state = found_state.state,
    version = found_state.version,
    is_active = true,
    per_second = found_state.per_second,
    ramp_from = found_state.ramp_from,
    running_since = found_state.running_since,
    next_at = at,
    recent = found_state.recent,
    waits_for = found_state.waits_for,
    stopped_because = found_state.stopped_because,
    rate = found_state.rate,
    rate_since = found_state.rate_since,
    rate_from = found_state.rate_from,
    ended_at = case when found_state.state = 'aborted' then at end
  where s.job = in_job;
  return query select 'steered', found_state.state;
end
$function$
;

CREATE OR REPLACE FUNCTION public.step_job(in_job bigint, in_runner text, in_room integer, in_runner_ms bigint)
 RETURNS TABLE(state text, due_in_ms double precision, worked integer, passed integer, reason text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
AS $function$
#variable_conflict use_variable
declare
  batch_max constant int := 500;
  -- A step is never sooner than that, unless nothing holds it back. It costs 1 to 3 ms, and 10 µs for each message that jobs have open.
  -- From 1,000 on the steps are rarer, so that they take a fifth of the time at most.
  step_ms int := 50;
  -- After a stall a job makes up for so much of its pace.
  made_up constant interval := '250 milliseconds';
  -- How long the runner is alone. What ends later was written by a clock that was set back since.
  runner_time constant interval := in_runner_ms * interval '1 millisecond';
  -- While nothing of a job is due, there is no hurry to see whether its room is free.
  idle_ms constant int := 1000;
  -- So many messages of all jobs may be open, most of them waiting. Each step looks at all of them.
  open_max constant int := 5000;
  job replay_jobs;
  s replay_job_states;
  target destinations;
  at timestamptz;
  before_counts bigint;
  pace double precision;
  room int;
  opened record;
  is_runner boolean;
  is_probe boolean;
  failed int;
  registered instances;
  taken record;
  did record;
begin
  worked := 0;
  passed := 0;
  -- Whoever only waits for its turn must not lock the row: the runner would find it locked, and lose its pace.
  select * into s from replay_job_states t where t.job = in_job;
  is_runner := s.runner is not distinct from in_runner;
  at := clock_timestamp();
  if not is_runner and s.runner_until > at and s.runner_until <= at + runner_time then
    return query select 'elsewhere', extract(epoch from s.runner_until - at)::double precision * 1000, 0, 0, null::text;
    return;
  end if;
  select * into s from replay_job_states t where t.job = in_job for no key update skip locked;
  if not found then
    -- An operator decides about the job, or another instance takes it over. The runner comes again soon, for its pace.
    return query select 'elsewhere', (case when is_runner then step_ms else idle_ms end)::double precision, 0, 0, null::text;
    return;
  end if;
  at := clock_timestamp();
  if not s.is_active then
    return query select s.state, null::double precision, 0, 0, null::text;
    return;
  end if;
  if s.runner <> in_runner and s.runner_until > at and s.runner_until <= at + runner_time then
    return query select 'elsewhere', extract(epoch from s.runner_until - at)::double precision * 1000, 0, 0, null::text;
    return;
  end if;
  select * into job from replay_jobs j where j.job = in_job;
  before_counts := s.replayed + s.succeeded + s.failed_again;
  s.runner := in_runner;
  s.runner_until := at + runner_time;
  -- A clock that was set back leaves these in the future.
  s.running_since := least(s.running_since, at);
  s.told_at := least(s.told_at, at);
  if s.rate_since > at then
    s.rate_since := at;
    s.rate_from := s.replayed;
  end if;
  s := count_ended(s, job.stop_after);
  due_in_ms := step_ms;
  failed := length(replace(s.recent, 's', ''));
  if s.state = 'running' and length(s.recent) = job.stop_after and failed >= job.stop_share * job.stop_after then
    s.state := 'stopped';
    s.rate := null;
    s.stopped_because := format('%s of the last %s that ended failed again, and the job stops at %s %%', failed, job.stop_after,
      round((job.stop_share * 100)::numeric, 1));
    s := append_job_event(s, 'stopped', in_runner, s.stopped_because);
  end if;
  if s.state = 'running' then
    select * into target from destinations d where d.destination = 'default';
    s.waits_for := case
      when job.kind = 'resolve' then null
      when target.state <> 'flowing' then format('destination %s is %s', target.destination, target.state)
      when target.throttled_at is not null then format('destination %s asked for less', target.destination)
    end;
    select * into opened from count_open(in_job);
    step_ms := greatest(step_ms, opened.every / 20);
    due_in_ms := step_ms;
    is_probe := s.waits_for is not null and target.state = 'held' and lacks_probe(target) and opened.busy = 0;
    if s.waits_for is not null and not is_probe then
      s.next_at := at;
      due_in_ms := idle_ms;
    else
      pace := case when job.kind = 'replay' and not is_probe then
        least(s.per_second, s.ramp_from * 2 ^ least(floor(extract(epoch from at - s.running_since)::double precision / 10), 60)) end;
      -- Nothing waits longer than one replay takes at this pace: a clock that was set back, or a pace that was slower, had it wait longer.
      s.next_at := greatest(at - made_up, case when pace is null then s.next_at else least(s.next_at, at + 1 / pace * interval '1 second') end);
      room := case when job.kind = 'resolve' then batch_max when is_probe then 1
        else least(greatest(1, in_room / 10) - opened.busy, open_max - opened.every) end;
      if job.stop_after is not null and job.kind = 'replay' and not is_probe then
        room := least(room, greatest(1, job.stop_after - failed) - opened.own_busy);
      end if;
      if room <= 0 and opened.own_busy = 0 then
        due_in_ms := idle_ms;
      end if;
      if pace is not null then
        room := least(room, case when s.next_at > at then 0 else floor(extract(epoch from at - s.next_at) * pace)::int + 1 end);
      end if;
      if room > 0 then
        select * into taken from take_ids(s, job.kind, least(room, batch_max));
        s := taken.state;
        if cardinality(taken.message_ids) > 0 then
          -- The window that is in force is that of the instance which was started last, as in the plan.
          select i.* into registered from instances i order by i.started_at desc limit 1;
          select * into did from work_ids(job, taken.message_ids, taken.versions, registered.key_window_ms, registered.lease_ms);
          worked := did.done;
          passed := cardinality(taken.message_ids) - did.done;
          s.replayed := s.replayed + did.done;
          s.skipped := s.skipped || coalesce((
            select jsonb_object_agg(k.key, k.value::bigint + coalesce((s.skipped ->> k.key)::bigint, 0)) from jsonb_each_text(did.skipped) k
          ), '{}');
          if pace is not null then
            s.next_at := s.next_at + did.done / pace * interval '1 second';
          end if;
          -- What was skipped took nothing of the room.
          due_in_ms := case when job.kind = 'resolve' or passed > 0 then 0 when is_probe then idle_ms else step_ms end;
        elsif opened.own > 0 then
          -- All that was planned has been replayed, and some has not ended.
          due_in_ms := case when opened.own_busy > 0 then step_ms else idle_ms end;
        else
          s.state := 'done';
          s.rate := null;
          s.ended_at := clock_timestamp();
          s := append_job_event(s, 'done', in_runner, 'all that was planned is replayed, resolved or skipped');
        end if;
      end if;
      if pace is not null then
        due_in_ms := greatest(due_in_ms, extract(epoch from s.next_at - at)::double precision * 1000);
      end if;
    end if;
    if s.state = 'running' and at >= s.rate_since + interval '2 seconds' then
      s.rate := (s.replayed - s.rate_from) / extract(epoch from at - s.rate_since)::double precision;
      s.rate_since := at;
      s.rate_from := s.replayed;
    end if;
  end if;
  if s.state <> 'running' then
    s.waits_for := null;
    -- Those that are still open are counted when they end.
    s.is_active := exists (select from replay_job_open o where o.job = in_job);
    due_in_ms := case when s.is_active then 500 end;
  end if;
  if at >= s.told_at + interval '1 second' and before_counts <> s.replayed + s.succeeded + s.failed_again then
    s.told_at := at;
    perform pg_notify('replay_job_counts', in_job::text);
  end if;
  update replay_job_states t set
    state = s.state,
    version = s.version,
    is_active = s.is_active,
    running_since = s.running_since,
    next_at = s.next_at,
    is_at_replayable = s.is_at_replayable,
    piece = s.piece,
    place = s.place,
    replayed = s.replayed,
    succeeded = s.succeeded,
    failed_again = s.failed_again,
    skipped = s.skipped,
    recent = s.recent,
    waits_for = s.waits_for,
    stopped_because = s.stopped_because,
    rate = s.rate,
    rate_since = s.rate_since,
    rate_from = s.rate_from,
    runner = s.runner,
    runner_until = s.runner_until,
    told_at = s.told_at,
    ended_at = s.ended_at
  where t.job = in_job;
  return query select case when s.waits_for is null then s.state else 'waiting' end, due_in_ms, worked, passed,
    coalesce(s.stopped_because, s.waits_for);
end
$function$
;

CREATE OR REPLACE FUNCTION public.stop_partition(in_topic text, in_partition integer, in_incarnation integer, in_next bigint, in_resume bigint, in_reason text, in_actor text)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  held partitions;
  latest partition_decisions;
  stored bigint;
begin
  if in_incarnation = 1 then
    insert into partitions (topic, partition) values (in_topic, in_partition) on conflict do nothing;
  end if;
  select * into strict held from partitions
    where topic = in_topic and partition = in_partition and incarnation = in_incarnation for no key update;
  select * into latest from partition_decisions where partition_id = held.partition_id order by decision desc limit 1;
  if latest.type = 'stopped' then
    return true;
  end if;
  stored := coalesce((select max(next_offset) from partition_advances where partition_id = held.partition_id), held.begins_at);
  if latest.type = 'incarnation_begun' or stored <> in_next then
    return false;
  end if;
  insert into partition_decisions (partition_id, decision, type, next_offset, resume_offset, recorded_at, actor, reason)
    values (held.partition_id, coalesce(latest.decision, 0) + 1, 'stopped', coalesce(stored, in_next), in_resume,
      clock_timestamp(), in_actor, in_reason);
  return true;
end
$function$
;

CREATE OR REPLACE FUNCTION public.sum_advances(in_partition_id integer, in_above bigint)
 RETURNS TABLE(first_offset bigint, next_offset bigint, received bigint, duplicates bigint, conflicts bigint, rejected bigint, holes bigint, gaps bigint)
 LANGUAGE sql
 STABLE
AS $function$
  select min(a.first_offset), max(a.next_offset), sum(a.received)::bigint, sum(a.duplicates)::bigint, sum(a.conflicts)::bigint,
    sum(a.rejected)::bigint, sum(a.holes)::bigint, sum(a.gaps)::bigint
  from partition_advances a where a.partition_id = in_partition_id and a.next_offset > in_above
$function$
;

CREATE OR REPLACE FUNCTION public.take_ids(in_state replay_job_states, in_kind text, in_count integer, OUT message_ids bigint[], OUT versions integer[], OUT state replay_job_states)
 RETURNS record
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  found_piece replay_plan_ids;
begin
  state := in_state;
  message_ids := '{}';
  versions := '{}';
  loop
    select * into found_piece from replay_plan_ids p
      where p.plan = state.job and p.is_replayable = state.is_at_replayable and p.piece = state.piece;
    exit when found;
    -- What can only be resolved comes last, and not in a replay.
    if in_kind = 'replay' or not state.is_at_replayable then
      return;
    end if;
    state.is_at_replayable := false;
    state.piece := 0;
  end loop;
  message_ids := found_piece.message_ids[state.place + 1 : state.place + in_count];
  versions := found_piece.versions[state.place + 1 : state.place + in_count];
  state.place := state.place + cardinality(message_ids);
  if state.place = cardinality(found_piece.message_ids) then
    state.piece := state.piece + 1;
    state.place := 0;
  end if;
end
$function$
;

CREATE OR REPLACE FUNCTION public.take_slots(in_place destinations, in_at timestamp with time zone, in_first_at timestamp with time zone, in_queue text, in_count integer)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  rate double precision := (pace_of(in_place, in_at)).rate;
  counted_for double precision := extract(epoch from in_at - in_place.slots_since);
  is_over boolean := coalesce(counted_for not between 0 and 1, true);
begin
  update destinations d set
    next_slot_at = in_first_at + in_count / rate * interval '1 second',
    last_queue = in_queue,
    slots_since = case when is_over then in_at else d.slots_since end,
    slots_taken = in_count + case when is_over then 0 else d.slots_taken end,
    slots_rate = case when is_over then coalesce(d.slots_taken / nullif(greatest(counted_for, 1), 0), 0) else d.slots_rate end
  where d.destination = in_place.destination;
end
$function$
;

CREATE OR REPLACE FUNCTION public.throttle_destination(in_destination text, in_actor text, in_reason text, in_wait_ms bigint, in_sent_ms_ago double precision, in_rate double precision)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  noted_at timestamptz;
  place destinations;
  known destinations;
  given double precision;
  measured double precision;
  sent_at timestamptz;
  is_news boolean;
begin
  select * into place from destinations d where d.destination = in_destination;
  if place.throttled_at is null then
    place := lock_destination(in_destination);
  else
    select * into place from destinations d where d.destination = in_destination for no key update;
    -- Another session ended it meanwhile. To begin it anew takes the other lock, which comes before this one: the caller tries again.
    if place.throttled_at is null then
      raise exception 'the throttle of destination % has just ended', in_destination using errcode = 'serialization_failure';
    end if;
  end if;
  noted_at := clock_timestamp();
  sent_at := noted_at - in_sent_ms_ago * interval '1 millisecond';
  given := (pace_of(place, noted_at)).rate;
  -- Whatever was sent before that did not know of the rate since.
  is_news := sent_at > coalesce(greatest(place.throttled_at, place.not_before), '-infinity');
  known := place;
  place.not_before := greatest(case when place.not_before <= noted_at + interval '60 seconds' then place.not_before end,
    case when in_wait_ms > 0 then noted_at + least(in_wait_ms, 60000) * interval '1 millisecond' end);
  if place.throttled_at is null then
    place.throttled_at := noted_at;
    place.throttled_rate := greatest(1, in_rate * greatest(1, cardinality(listening_instances())) / 2);
    perform append_decision(place, place.state, 'throttled', in_actor, in_reason);
    return;
  end if;
  if is_news then
    if place.throttled_from is null then
      place.throttled_from := given;
      place.throttled_rate := given / 2;
    else
      -- There may have been less to send than was given.
      measured := greatest(place.slots_rate, place.slots_taken / greatest(1, extract(epoch from noted_at - place.slots_since)::double precision));
      place.throttled_from := greatest(0.01, given / 2, least(given, measured));
      place.throttled_rate := place.throttled_from * 0.9;
    end if;
    place.throttled_at := noted_at;
  end if;
  -- Many answers may come that say nothing new.
  if not is_news and place.not_before is not distinct from known.not_before then
    return;
  end if;
  update destinations d set
    not_before = place.not_before,
    throttled_at = place.throttled_at,
    throttled_rate = place.throttled_rate,
    throttled_from = place.throttled_from
  where d.destination = in_destination;
  perform pg_notify('destination_changed', in_destination);
end
$function$
;

CREATE OR REPLACE FUNCTION public.throttle_ends_at(in_place destinations)
 RETURNS timestamp with time zone
 LANGUAGE sql
 IMMUTABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
  select greatest(in_place.throttled_at, in_place.not_before)
    + case when in_place.throttled_from is null then interval '10 seconds' else interval '150 seconds' end
  where in_place.throttled_at is not null
$function$
;

CREATE OR REPLACE FUNCTION public.throttled_rate(in_place destinations, in_at timestamp with time zone)
 RETURNS double precision
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
declare
  -- How steep the curve is: with a tenth less it is back at the old rate after 30 s (0.1 / 30³).
  steepness constant double precision := 3.7e-6;
  seconds double precision := greatest(0, extract(epoch from in_at - greatest(in_place.throttled_at, in_place.not_before)));
  back_after double precision;
begin
  if in_place.throttled_from is null then
    return in_place.throttled_rate * power(2, least(seconds, 30));
  end if;
  back_after := cbrt((1 - in_place.throttled_rate / in_place.throttled_from) / steepness);
  return in_place.throttled_from * (1 + steepness * power(seconds - back_after, 3));
end
$function$
;

CREATE OR REPLACE FUNCTION public.unknown_measure(in_status text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select case in_status
    when 'success' then 'unknown_success'
    when 'dead_letter' then 'unknown_dead_letter'
    else 'unknown_open'
  end
$function$
;

CREATE OR REPLACE FUNCTION public.unlocked_of(in_message_ids bigint[])
 RETURNS bigint[]
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
AS $function$
begin
  return (
    with free as materialized (
      select s.message_id from message_states s where s.message_id = any (in_message_ids)
      order by s.message_id for no key update skip locked
    )
    select coalesce(array_agg(f.message_id), '{}') from free f
  );
end
$function$
;

CREATE OR REPLACE FUNCTION public.walk_positions(in_above_position bigint, in_above_message_id bigint, in_below_position bigint, in_below_message_id bigint, in_descending boolean, in_rows_max bigint)
 RETURNS TABLE(log_position bigint, message_id bigint)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
 SET enable_hashagg TO 'off'
AS $function$
begin
  if in_descending then
    return query
    select distinct p.position, u.message_id
    from event_positions p
    cross join lateral unnest(p.message_ids) as u(message_id)
    where p.position >= in_above_position and p.position <= in_below_position
      and (p.position, u.message_id) > (in_above_position, in_above_message_id)
      and (p.position, u.message_id) < (in_below_position, in_below_message_id)
    order by p.position desc, u.message_id desc limit in_rows_max;
  else
    return query
    select distinct p.position, u.message_id
    from event_positions p
    cross join lateral unnest(p.message_ids) as u(message_id)
    where p.position >= in_above_position and p.position <= in_below_position
      and (p.position, u.message_id) > (in_above_position, in_above_message_id)
      and (p.position, u.message_id) < (in_below_position, in_below_message_id)
    order by p.position asc, u.message_id asc limit in_rows_max;
  end if;
end
$function$
;

CREATE OR REPLACE FUNCTION public.watermark()
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  return pg_snapshot_xmin(pg_current_snapshot())::text::bigint + (select base from log_epochs order by epoch desc limit 1);
end
$function$
;

CREATE OR REPLACE FUNCTION public.work_ids(in_job replay_jobs, in_message_ids bigint[], in_versions integer[], in_key_window_ms bigint, in_lease_ms bigint, OUT done integer, OUT skipped jsonb)
 RETURNS record
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
declare
  request_key constant text := 'replay-job:' || in_job.job;
  planned_at constant timestamptz := (select p.planned_at from replay_plans p where p.plan = in_job.job);
  -- Its window is the one that the plan counted by.
  registered instances;
  chosen bigint[];
  names text[];
  -- Which of them the plan counted as past the window.
  counted boolean[];
  ids bigint[];
  asked text[];
  is_confirmed boolean;
  answers text[];
  past int := 0;
begin
  select i.* into registered from instances i where i.started_at <= planned_at order by i.started_at desc limit 1;
  -- In the order of message ids, as everywhere.
  perform from message_states s where s.message_id = any (in_message_ids) order by s.message_id for no key update;
  with judged as materialized (
    select u.message_id, m.transaction_id,
      -- One that has changed since may have come into doubt only then.
      in_job.is_confirmed and m.outcome_unknown and m.version = u.version and coalesce(
        key_window_ends_at(u.message_id, registered.key_window_ms) < planned_at + registered.lease_ms * interval '1 millisecond', false
      ) as was_counted,
      case
        when m.status is null then 'archived'
        when exists (select from message_events e where e.message_id = u.message_id and e.version > u.version and e.type = 'replayed')
          then 'replayed'
        when m.status <> 'dead_letter' then 'succeeded'
        when exists (select from decided_messages d where d.message_id = u.message_id) then 'resolved'
        when in_job.kind = 'replay'
          and exists (select from message_events e where e.message_id = u.message_id and e.type = 'expunged') then 'expunged'
      end as refusal
    from unnest(in_message_ids, in_versions) as u (message_id, version)
    left join lateral (
      select s.status, s.transaction_id, s.outcome_unknown, s.version from message_states s where s.message_id = u.message_id limit 1
    ) m on true
  )
  select coalesce(array_agg(j.message_id order by j.message_id) filter (where j.refusal is null), '{}'),
    coalesce(array_agg(j.transaction_id order by j.message_id) filter (where j.refusal is null), '{}'),
    array_agg(coalesce(j.was_counted, false) order by j.message_id) filter (where j.refusal is null),
    coalesce((select jsonb_object_agg(r.refusal, r.count) from (
      select k.refusal, count(*) as count from judged k where k.refusal is not null group by k.refusal
    ) r), '{}')
    into chosen, names, counted, skipped
  from judged j;
  done := cardinality(chosen);
  if done = 0 then
    return;
  end if;
  if in_job.kind = 'resolve' then
    perform resolve_letters(chosen, in_job.resolution, in_job.actor, in_job.reason, request_key);
    return;
  end if;
  for ids, asked, is_confirmed in
    select array_agg(u.message_id order by u.message_id), array_agg(u.name order by u.message_id), u.was_counted
    from unnest(chosen, names, counted) as u (message_id, name, was_counted) group by u.was_counted
  loop
    answers := array(
      select r.answer from replay_messages(asked, in_job.actor, in_job.reason, request_key, is_confirmed, in_key_window_ms, in_lease_ms) r
      order by r.place);
    -- They are locked, so none of them can be refused now for another reason.
    if exists (select from unnest(answers) a where a not in ('replayed', 'key_window_passed')) then
      raise exception 'job %: a message that could be replayed was refused', in_job.job;
    end if;
    insert into replay_job_open (job, message_id)
      select in_job.job, c.message_id from unnest(ids, answers) as c (message_id, answer) where c.answer = 'replayed';
    past := past + (select count(*) from unnest(answers) a where a = 'key_window_passed');
  end loop;
  if past > 0 then
    done := done - past;
    skipped := skipped || jsonb_build_object('key_window_passed', past);
  end if;
end
$function$
;
