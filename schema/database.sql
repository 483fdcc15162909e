-- Printed from a freshly migrated database by `npm run schema`; do not edit. The sources are in migrations/.

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
  constraint instances_pkey PRIMARY KEY (instance)
);

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

create table message_events (
  message_id bigint not null,
  version integer not null,
  "position" bigint not null,
  recorded_at timestamp with time zone not null,
  type text not null,
  actor text not null,
  status text not null,
  retry_count integer not null,
  due_at timestamp with time zone,
  attempt integer,
  outcome text,
  status_code integer,
  duration_ms integer,
  reason text,
  topic text,
  partition integer,
  kafka_offset bigint,
  incarnation integer,
  payload_sha256 bytea,
  transaction_id text collate "C",
  related_message_id bigint,
  request_key text,
  constraint message_events_actor_check CHECK ((actor <> ''::text)),
  constraint message_events_outcome_check CHECK ((outcome = ANY (ARRAY['accepted'::text, 'refused'::text, 'unavailable'::text, 'not_sent'::text, 'unknown'::text]))),
  constraint message_events_pkey PRIMARY KEY (message_id, version)
);
CREATE INDEX message_events_duplicate ON public.message_events USING btree (topic, partition, kafka_offset) WHERE (type = 'duplicate_received'::text);
CREATE INDEX message_events_position ON public.message_events USING btree ("position");

create table message_states (
  message_id bigint not null,
  transaction_id text collate "C" not null,
  version integer not null,
  status text not null,
  retry_count integer not null,
  attempts integer not null,
  due_at timestamp with time zone,
  claimed_by text,
  error_message text,
  outcome_unknown boolean not null,
  "position" bigint not null,
  created_at timestamp with time zone not null,
  updated_at timestamp with time zone not null,
  recorded_at timestamp with time zone not null,
  constraint message_states_pkey PRIMARY KEY (message_id)
) with (fillfactor=50);
CREATE INDEX message_states_created ON public.message_states USING btree (created_at, message_id);
CREATE INDEX message_states_dead_letter ON public.message_states USING btree (created_at, message_id) WHERE (status = 'dead_letter'::text);
CREATE INDEX message_states_due ON public.message_states USING btree (status, due_at, message_id) WHERE (due_at IS NOT NULL);
CREATE INDEX message_states_failed ON public.message_states USING btree (created_at, message_id) WHERE (status = 'failed'::text);
CREATE INDEX message_states_unknown ON public.message_states USING btree (created_at, message_id) WHERE outcome_unknown;

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
  constraint records_payload_state_check CHECK ((payload_state = ANY (ARRAY['whole'::text, 'cut'::text, 'absent'::text, 'same'::text]))),
  constraint records_pkey PRIMARY KEY (message_id, version)
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
  constraint stray_outcomes_actor_check CHECK ((actor <> ''::text)),
  constraint stray_outcomes_outcome_check CHECK ((outcome = ANY (ARRAY['accepted'::text, 'refused'::text, 'unavailable'::text, 'not_sent'::text, 'unknown'::text]))),
  constraint stray_outcomes_pkey PRIMARY KEY (transaction_id, attempt, lease_ends_at, actor)
);

create sequence message_ids as bigint start 1 increment 1;

create view messages as
 SELECT s.transaction_id,
        CASE
            WHEN r.is_json AND r.payload_state = 'whole'::text THEN convert_from(r.payload, 'UTF8'::name)::json
            ELSE NULL::json
        END AS payload,
    s.status,
    s.retry_count,
    s.error_message,
        CASE
            WHEN s.status = 'failed'::text THEN s.due_at
            ELSE NULL::timestamp with time zone
        END AS next_retry_at,
    s.created_at,
    s.updated_at,
    s.message_id,
    s.version,
    s.attempts,
    s.outcome_unknown
   FROM message_states s
     LEFT JOIN records r ON r.message_id = s.message_id AND r.version = 1;

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

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.inbox FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- enabled: always

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.instances FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- enabled: always

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.log_epochs FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
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

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.records FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- enabled: always

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.server_changes FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- enabled: always

CREATE OR REPLACE FUNCTION public.abandon(in_actor text, in_message_ids bigint[], in_attempts integer[], in_leases timestamp with time zone[], in_delays_ms bigint[], in_reconnected_at timestamp with time zone, in_grace_ms bigint)
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
  abandoned_at timestamptz := clock_timestamp();
  answers text[];
begin
  with input as materialized (
    select i.*, m.version, m.retry_count, m.position, m.recorded_at,
      coalesce(m.status = 'processing' and m.attempts = i.attempt and m.due_at = i.lease_ends_at
        and lease_ends_at(m.due_at, in_reconnected_at, in_grace_ms) <= abandoned_at, false) as is_expired
    from (
      select * from unnest(in_message_ids, in_attempts, in_leases, in_delays_ms) with ordinality
        as u(message_id, attempt, lease_ends_at, delay_ms, place)
      order by u.message_id
    ) i
    left join lateral (
      select s.version, s.retry_count, s.position, s.recorded_at, s.status, s.attempts, s.due_at
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
        i.retry_count + case when i.delay_ms is null then 0 else 1 end as retry_count,
        greatest(abandoned_at, i.recorded_at) + i.delay_ms * interval '1 millisecond' as due_at, 'unknown' as outcome,
        'abandoned: its lease ended with no outcome' as reason
      union all
      select 2, 'dead_lettered', 'dead_letter', i.retry_count, null, null, 'retries exhausted'
      where i.delay_ms is null
    ) e
    where i.is_expired
    order by 1, 2
  )
  select array_agg(case when i.is_expired then 'appended' else 'stale' end order by i.place) into answers from input i;
  perform refuse_unprojected();
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
      (select max(r.message_id) from records r))
    union all
    select pg_get_serial_sequence('partitions', 'partition_id'), (select max(p.partition_id) from partitions p)
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

CREATE OR REPLACE FUNCTION public.append_late(in_actor text, in_message_id bigint, in_attempt integer, in_attempt_name text, in_outcome text, in_status_code integer, in_duration_ms integer, in_reason text)
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
  end if;
  insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, attempt,
      outcome, status_code, duration_ms, reason)
    values (in_message_id, held.version + 1, greatest(current_position(), held.position), written_at, 'late_result_observed',
      in_actor,
      case when in_outcome = 'accepted' then 'success' else held.status end,
      held.retry_count,
      case when in_outcome = 'accepted' then null else held.due_at end,
      in_attempt, in_outcome, in_status_code, in_duration_ms, in_reason);
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

CREATE OR REPLACE FUNCTION public.claim(in_status text, in_actor text, in_room integer, in_bytes_max bigint, in_lease_ms bigint, in_look_from timestamp with time zone)
 RETURNS TABLE(message_id bigint, attempt integer, retry_count integer, transaction_id text, payload bytea, traceparent text, age_ms double precision, lease_ends_at bigint)
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
  -- Most looks find nothing. They skip the statement below and the trigger of the log, which fires for no rows too.
  if not exists (
    select 1 from message_states s
    where s.status = in_status and s.due_at is not null and s.due_at <= looked_at and s.due_at >= in_look_from
  ) then
    return;
  end if;
  return query
  with due as materialized (
    select s.message_id, s.transaction_id, s.version, s.attempts, s.retry_count, s.due_at, s.position, s.recorded_at,
      s.created_at
    from message_states s
    where s.status = in_status and s.due_at is not null and s.due_at <= looked_at and s.due_at >= in_look_from
    order by s.due_at, s.message_id
    limit in_room
    for no key update skip locked
  ),
  measured as (
    select d.*, r.payload, r.traceparent,
      sum(r.payload_bytes::bigint) over (order by d.due_at, d.message_id) - r.payload_bytes as bytes_before
    from due d
    cross join lateral (
      select p.payload, p.payload_bytes, p.traceparent from records p
      where p.message_id = d.message_id and p.version = 1 limit 1
    ) r
  ),
  chosen as materialized (
    select m.*, greatest(looked_at, m.recorded_at) + in_lease_ms * interval '1 millisecond' as lease_end
    from measured m where m.bytes_before < in_bytes_max
  ),
  started as (
    insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, attempt)
    select c.message_id, c.version + 1, greatest((select current_position()), c.position), greatest(looked_at, c.recorded_at),
      'attempt_started', in_actor, 'processing', c.retry_count, c.lease_end, c.attempts + 1
    from chosen c
    order by c.message_id
  )
  select c.message_id, c.attempts + 1, c.retry_count, c.transaction_id::text, c.payload, c.traceparent,
    (extract(epoch from looked_at - c.created_at) * 1000)::double precision, lease_micros(c.lease_end)
  from chosen c
  order by c.due_at, c.message_id;
  perform refuse_unprojected();
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

CREATE OR REPLACE FUNCTION public.count_letter(in_results text, in_letter text)
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$
  select length(in_results) - length(replace(in_results, in_letter, ''))
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
begin
  if in_status = 'processing' and lease_ends_at('-infinity', in_reconnected_at, in_grace_ms) > long_ago then
    return 0;
  end if;
  if in_status = 'processing' then
    listening := listening_instances();
  end if;
  return (
    select count(*) from (
      select 1 from message_states s where s.status = in_status and s.due_at is not null and s.due_at <= long_ago
        and (listening is null or split_part(s.claimed_by, '/', 1) <> all (listening))
      limit 1000
    ) missed
  );
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

CREATE OR REPLACE FUNCTION public.current_position()
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
AS $function$
declare
  ahead bigint;
begin
  -- Every statement that appended has left a delta, and folded deltas lie below the bound of the fold. Both tables are small, and
  -- so this finds the highest position sooner than the log itself would.
  select rewound_by(greatest(f.bound, d.position + 1)) into ahead
  from (select bound from status_count_folds order by bound desc limit 1) f
  left join lateral (
    select c.position from status_count_deltas c where c.position >= f.bound order by c.position desc limit 1
  ) d on true;
  if ahead > 0 then
    raise exception 'the log reaches % positions beyond the transaction ids of this cluster, as after a restore into a younger one', ahead
      using errcode = 'object_not_in_prerequisite_state', hint = 'npm run epoch -- --reason R';
  end if;
  return pg_current_xact_id()::text::bigint + (select base from log_epochs order by epoch desc limit 1);
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
  listening := listening_instances();
  return query
  select s.message_id, s.attempts, s.retry_count, abandoned_before(s.message_id, s.attempts), s.transaction_id::text,
    lease_micros(s.due_at), s.claimed_by, split_part(s.claimed_by, '/', 1) = any (listening)
  from message_states s
  where s.status = 'processing' and s.due_at is not null and s.due_at <= looked_at and s.due_at >= in_look_from
    and split_part(s.claimed_by, '/', 1) <> all (in_spared)
  order by s.due_at, s.message_id
  limit in_rows_max;
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

CREATE OR REPLACE FUNCTION public.fold_counts(in_rows_min integer DEFAULT 1)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  perform fold_piece(in_rows_min);
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
    select g.minute, g.pattern, sum(g.n), max(g.last_at), example_ids(g.examples)
    from gone g
    group by g.minute, g.pattern
    order by g.minute, g.pattern
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
      select u.minute, u.measure, u.bucket, case when is_maximum(u.measure) then max(u.n) else sum(u.n) end
      from gone g
      cross join lateral unnest(g.minutes, g.measures, g.buckets, g.counts) as u(minute, measure, bucket, n)
      group by u.minute, u.measure, u.bucket
      order by u.minute, u.measure, u.bucket
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

CREATE OR REPLACE FUNCTION public.ingest(in_topic text, in_partition integer, in_incarnation integer, in_first bigint, in_next bigint, in_actor text, in_room integer, in_lane text, in_lease_ms bigint, in_offsets bigint[], in_transaction_ids text[], in_rejections text[], in_payload_hashes bytea[], in_payloads bytea[], in_payload_states text[], in_payload_sizes integer[], in_are_json boolean[], in_keys bytea[], in_headers text[], in_traceparents text[], in_timestamps_ms bigint[], in_hole_firsts bigint[], in_hole_nexts bigint[])
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
  held_partition int;
  stored bigint;
  is_ended boolean;
  minted bigint[];
  known boolean := false;
  refused_by text;
  written_at timestamptz;
  written_position bigint;
  place int;
  original bigint;
begin
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
      ), p.begins_at, in_first),
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
  -- First a plain insert, because nearly every slice has new ids only: 7 µs a message less than ON CONFLICT (measured).
  begin
    insert into inbox (transaction_id, message_id, payload_sha256)
      select r.transaction_id, r.message_id, r.hash
      from unnest(in_transaction_ids, minted, in_payload_hashes, in_offsets) as r(transaction_id, message_id, hash, kafka_offset)
      where r.kafka_offset >= stored
      order by r.transaction_id collate "C";
  exception when unique_violation then
    get stacked diagnostics refused_by = constraint_name;
    if refused_by <> 'inbox_pkey' then
      raise;
    end if;
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
      where r.result = 'r' and r.nth <= in_room
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
  claimed := least(in_room, count_letter(results, 'r'));
  lease_ends_at := lease_micros(written_at + in_lease_ms * interval '1 millisecond');
  return next;
end
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

CREATE OR REPLACE FUNCTION public.keep_stray(in_actor text, in_transaction_id text, in_payload_sha256 bytea, in_attempt integer, in_lease_ends_at timestamp with time zone, in_outcome text, in_status_code integer, in_duration_ms integer, in_reason text)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  insert into stray_outcomes (actor, transaction_id, payload_sha256, attempt, lease_ends_at, outcome, status_code, duration_ms,
      reason)
    values (in_actor, in_transaction_id, in_payload_sha256, in_attempt, in_lease_ends_at, in_outcome, in_status_code,
      in_duration_ms, in_reason)
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

CREATE OR REPLACE FUNCTION public.last_position()
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
AS $function$
begin
  return coalesce((select e.position from message_events e order by e.position desc limit 1), 0);
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
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$
  select (extract(epoch from in_lease_ends_at) * 1000000)::bigint
$function$
;

CREATE OR REPLACE FUNCTION public.listening_instances()
 RETURNS text[]
 LANGUAGE sql
 SET search_path TO 'public', 'pg_temp'
AS $function$
  select coalesce(array_agg(substr(a.application_name, length('transaction-queue-proxy listen ') + 1)), '{}')
  from pg_stat_activity a
  where a.datname = current_database() and a.application_name like 'transaction-queue-proxy listen %'
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
  select e.position into last from message_events e where e.position < watermark() order by e.position desc limit 1;
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
    (select position + 1 from message_events order by position desc limit 1),
    (select position + 1 from status_count_deltas order by position desc limit 1),
    (select position + 1 from failure_deltas order by position desc limit 1),
    (select bound from status_count_folds order by bound desc limit 1),
    (select base + 1 from log_epochs order by epoch desc limit 1)
  );
end
$function$
;

CREATE OR REPLACE FUNCTION public.look(in_status text, in_actor text, in_room integer, in_bytes_max bigint, in_lease_ms bigint, in_statuses text[], in_look_from timestamp with time zone[], in_reconnected_at timestamp with time zone, in_grace_ms bigint)
 RETURNS TABLE(kind text, message_id bigint, attempt integer, retry_count integer, transaction_id text, payload bytea, traceparent text, age_ms double precision, lease_ends_at bigint, status text, due_in_ms double precision, next_look_from text, last_position bigint)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
AS $function$
#variable_conflict use_column
declare
  looked_at timestamptz;
  earliest timestamptz;
begin
  return query
    select 'claim', c.message_id, c.attempt, c.retry_count, c.transaction_id, c.payload, c.traceparent, c.age_ms,
      c.lease_ends_at, null::text, null::double precision, null::text, null::bigint
    from claim(in_status, in_actor, in_room, in_bytes_max, in_lease_ms, in_look_from[1]) c;
  for nth in 1 .. cardinality(in_statuses) loop
    select s.due_at into earliest from message_states s
      where s.status = in_statuses[nth] and s.due_at is not null and s.due_at >= in_look_from[nth]
      order by s.due_at limit 1;
    looked_at := clock_timestamp();
    return query select 'timer', null::bigint, null::int, null::int, null::text, null::bytea, null::text,
      null::double precision, null::bigint, in_statuses[nth],
      extract(epoch from case in_statuses[nth] when 'processing' then lease_ends_at(earliest, in_reconnected_at, in_grace_ms)
        else earliest end - looked_at)::double precision * 1000,
      to_char(least(earliest, looked_at + (case in_statuses[nth] when 'processing'
        then coalesce((select min(lease_ms) from instances), 0) else 0 end - 35000) * interval '1 millisecond')
        at time zone 'UTC',
        'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      last_position();
  end loop;
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

CREATE OR REPLACE FUNCTION public.observe_late(in_actor text, in_message_id bigint, in_transaction_id text, in_attempt integer, in_lease_ends_at timestamp with time zone, in_outcome text, in_status_code integer, in_duration_ms integer, in_reason text)
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
    in_reason => in_reason);
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
    (extract(epoch from looked_at - s.created_at) * 1000)::double precision, lease_micros(s.due_at),
    (extract(epoch from looked_at - e.recorded_at) * 1000)::double precision
  from message_states s
  join records r on r.message_id = s.message_id and r.version = 1
  cross join lateral (
    select b.recorded_at from message_events b
    where b.message_id = s.message_id and b.type = 'attempt_started' order by b.version desc limit 1
  ) e
  where s.status = 'processing' and s.due_at is not null and s.claimed_by = in_actor
    and e.recorded_at > coalesce((select max(c.recorded_at) from server_changes c where c.from_timeline is not null), '-infinity')
  order by s.message_id;
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
begin
  -- In the order of message ids, as everywhere, so that two sessions never wait for each other in a circle.
  for stray in
    select s.*, i.message_id
    from stray_outcomes s
    join inbox i on i.transaction_id = s.transaction_id and i.payload_sha256 = s.payload_sha256
    where in_transaction_id is null or s.transaction_id = in_transaction_id
    order by i.message_id, s.attempt, s.lease_ends_at
    limit 1000
  loop
    perform from message_states where message_id = stray.message_id for no key update;
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
        in_reason => told);
    end if;
  end loop;
  return (select count(*) from stray_outcomes);
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
    count(*) filter (where e.type in ('attempt_failed', 'attempt_abandoned', 'rejected')) as failures,
    coalesce(bool_or(e.due_at is not null), false) as leaves_open,
    -- At least the transaction's own position, so the watermark passes it only after the transaction has ended.
    max(e.position) as position
    into given from new_events e;
  -- A statement that appended nothing notifies nobody. An empty claim that notifies would wake itself: 11,476 looks in 3 s,
  -- measured.
  if given.events = 0 then
    return null;
  end if;
  events_left := given.events;

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
      insert into message_states (message_id, transaction_id, version, status, retry_count, attempts, due_at, claimed_by,
        error_message, outcome_unknown, position, created_at, updated_at, recorded_at)
      select b.message_id, b.transaction_id, b.version, b.status, b.retry_count, coalesce(b.attempt, 0), b.due_at,
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
        e.outcome, e.duration_ms, e.reason, s.status as prior_status, s.retry_count as prior_retry_count,
        s.outcome_unknown as prior_unknown, s.outcome_unknown or coalesce(e.outcome = 'unknown', false) as outcome_unknown,
        s.created_at, date_bin('1 minute', e.recorded_at, 'epoch') as minute
      from new_events e
      cross join lateral (
        select m.status, m.retry_count, m.outcome_unknown, m.created_at from message_states m
        where m.message_id = e.message_id and m.version = e.version - 1 limit 1
      ) s
    ),
    moved as (
      update message_states s set
        version = f.version,
        status = f.status,
        retry_count = f.retry_count,
        -- A late result names an attempt before the last one.
        attempts = greatest(s.attempts, f.attempt),
        due_at = f.due_at,
        claimed_by = case when f.type = 'attempt_started' then f.actor when f.status = 'processing' then s.claimed_by end,
        error_message = case
          when f.type in ('succeeded', 'attempt_failed', 'attempt_abandoned', 'replayed')
              or (f.type = 'late_result_observed' and f.status = 'success')
            then case when f.status in ('failed', 'dead_letter') then f.reason end
          else s.error_message end,
        outcome_unknown = f.outcome_unknown,
        position = f.position,
        updated_at = case
          when f.status <> f.prior_status or f.retry_count <> f.prior_retry_count or f.type = 'attempt_started'
            then f.recorded_at
          else s.updated_at end,
        recorded_at = f.recorded_at
      from step f
      where s.message_id = f.message_id
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
  if given.failures > 0 then
    perform count_failures(array_agg(e.message_id), array_agg(e.recorded_at), array_agg(e.reason))
      from new_events e where e.type in ('attempt_failed', 'attempt_abandoned', 'rejected') and e.reason is not null;
  end if;
  perform pg_notify('message_events', '');
  if given.leaves_open then
    perform pg_notify('message_due', '');
  end if;
  return null;
end
$function$
;

CREATE OR REPLACE FUNCTION public.read_failures(in_first timestamp with time zone, in_last timestamp with time zone)
 RETURNS TABLE(minute timestamp with time zone, pattern text, n bigint, last_at timestamp with time zone, examples bigint[])
 LANGUAGE sql
 STABLE
AS $function$
  select r.minute, r.pattern, r.n, r.last_at, r.examples from failure_rollups r where r.minute between in_first and in_last
  union all
  select d.minute, d.pattern, d.n, d.last_at, d.examples from failure_deltas d
  where d.position >= (select max(bound) from status_count_folds) and d.minute between in_first and in_last
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
        select e as event, e.position, e.message_id, e.version, e.type, e.outcome, e.actor, e.recorded_at
        from message_events e
        where e.position >= in_after_position and e.position <= least(in_before_position, head - 1)
          and (e.position, e.message_id, e.version) > (in_after_position, in_after_message_id, in_after_version)
          and (e.position, e.message_id, e.version) < (in_before_position, in_before_message_id, in_before_version)
        order by e.position desc, e.message_id desc, e.version desc limit in_examined_max
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
        select e as event, e.position, e.message_id, e.version, e.type, e.outcome, e.actor, e.recorded_at
        from message_events e
        where e.position >= in_after_position and e.position <= least(in_before_position, head - 1)
          and (e.position, e.message_id, e.version) > (in_after_position, in_after_message_id, in_after_version)
          and (e.position, e.message_id, e.version) < (in_before_position, in_before_message_id, in_before_version)
        order by e.position asc, e.message_id asc, e.version asc limit in_examined_max
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
  select r.minute, r.measure, r.bucket, r.n from rollups r
  where r.minute between in_first and in_last and (in_measures is null or r.measure = any (in_measures))
  union all
  select u.minute, u.measure, u.bucket, u.n from status_count_deltas d
  cross join lateral unnest(d.minutes, d.measures, d.buckets, d.counts) as u(minute, measure, bucket, n)
  where d.position >= (select max(bound) from status_count_folds)
    and u.minute between in_first and in_last and (in_measures is null or u.measure = any (in_measures))
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
        select count(m.message_id)
        from unnest(statuses) with ordinality as n(status, place)
        left join message_states m on m.status = n.status
        group by n.place order by n.place
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
  return query
  with counted as (
    select date_bin('1 minute', e.recorded_at, 'epoch') as minute, failure_pattern(e.reason) as pattern, count(*) as n,
      max(e.recorded_at) as last_at, (array_agg(distinct e.message_id order by e.message_id desc))[1:3] as examples
    from message_events e
    where e.type in ('attempt_failed', 'attempt_abandoned', 'rejected') and e.reason is not null
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
      e.outcome, e.reason, e.transaction_id,
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
      (array_agg(l.position order by l.version desc))[1] as position,
      (array_agg(l.recorded_at order by l.version))[1] as created_at,
      (array_agg(l.recorded_at order by l.version desc) filter (where l.updates))[1] as updated_at,
      (array_agg(l.recorded_at order by l.version desc))[1] as recorded_at
    from link l
    group by l.message_id
    having min(l.version) = 1
  )
  select f.message_id, f.transaction_id collate "C", f.version, f.status, f.retry_count, f.attempts, f.due_at,
    case when f.status = 'processing' then f.claimed_by end, f.error_message, f.outcome_unknown, f.position, f.created_at,
    f.updated_at, f.recorded_at
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
  return query
  with event as (
    select e.message_id, e.version, e.recorded_at, e.type, e.outcome, e.duration_ms,
      date_bin('1 minute', e.recorded_at, 'epoch') as minute,
      case e.type
        when 'succeeded' then true
        when 'late_result_observed' then e.status = 'success' and 'success' <> (
          select b.status from message_events b where b.message_id = e.message_id and b.version = e.version - 1
        )
        else false
      end as succeeds
    from message_events e
  ),
  duration as materialized (
    select t.minute, t.measure, latency_bucket(t.micros) as bucket, count(*) as n, max(t.micros)::bigint as longest
    from (
      select e.minute, 'end_to_end' as measure, round(date_part('epoch', e.recorded_at - b.recorded_at) * 1e6) as micros
      from event e
      join message_events b on b.message_id = e.message_id and b.version = 1
      where e.type in ('succeeded', 'late_result_observed') and e.succeeds
      union all
      select e.minute, 'attempt', e.duration_ms * 1000::double precision
      from event e where e.type in ('succeeded', 'attempt_failed') and e.duration_ms is not null
    ) t
    group by 1, 2, 3
  ),
  counted as (
    select k.minute, k.measure, 0 as bucket, count(*) as n
    from (select e.minute, event_measure(e.type, e.outcome, e.version = 1, e.succeeds) as measure from event e) k
    where k.measure is not null
    group by 1, 2
    union all
    select d.minute, d.measure, d.bucket, d.n from duration d
    union all
    select d.minute, d.measure || '_max', 0, max(d.longest) from duration d group by 1, 2
    union all
    select '-infinity', 'retries', s.retry_count, count(*) from message_states s group by 3
    union all
    select '-infinity', unknown_measure(s.status), 0, count(*)
    from message_states s where s.outcome_unknown group by 2
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
      on conflict (message_id) do update set (transaction_id, version, status, retry_count, attempts, due_at, claimed_by,
          error_message, outcome_unknown, position, created_at, updated_at, recorded_at)
        = row (excluded.transaction_id, excluded.version, excluded.status, excluded.retry_count, excluded.attempts,
          excluded.due_at, excluded.claimed_by, excluded.error_message, excluded.outcome_unknown, excluded.position,
          excluded.created_at, excluded.updated_at, excluded.recorded_at)
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
      -- Every transaction that appends holds a lock on this table, so none is open while the change is recorded. Then look once
      -- more, because another instance may have recorded the change.
      lock table log_epochs in access exclusive mode;
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
          least(pg_last_xact_replay_timestamp(),
            (select e.recorded_at from message_events e order by e.position desc limit 1));
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

CREATE OR REPLACE FUNCTION public.record_id(in_topic text, in_partition integer, in_incarnation integer, in_offset bigint)
 RETURNS text
 LANGUAGE sql
 STABLE
AS $function$
  select concat_ws(':', 'record', in_topic, in_partition, in_offset, nullif(in_incarnation, 1))
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

CREATE OR REPLACE FUNCTION public.register_instance(in_instance text, in_release text, in_fresh_max integer, in_retry_max integer, in_lease_ms bigint, in_timeout_ms bigint, in_retries_max integer, in_base_delay_ms bigint, in_max_delay_ms bigint)
 RETURNS timestamp with time zone
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  insert into instances (instance, release, fresh_max, retry_max, lease_ms, timeout_ms, retries_max, base_delay_ms,
      max_delay_ms)
    values (in_instance, in_release, in_fresh_max, in_retry_max, in_lease_ms, in_timeout_ms, in_retries_max,
      in_base_delay_ms, in_max_delay_ms)
    on conflict (instance) do nothing;
  return clock_timestamp();
end
$function$
;

CREATE OR REPLACE FUNCTION public.replay(in_transaction_ids text[], in_actor text, in_reason text, in_request_key text)
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
      m.status = 'dead_letter' and f.type = 'received' as is_replayable,
      a.version as accepted_version, a.reason as accepted_reason,
      row_number() over (partition by u.message_id order by u.place) = 1 as is_first
    from unnest(ids) with ordinality as u (message_id, place)
    left join lateral (
      select s.version, s.status, s.position, s.recorded_at from message_states s where s.message_id = u.message_id limit 1
    ) m on true
    left join lateral (
      select e.type from message_events e where e.message_id = u.message_id and e.version = 1 limit 1
    ) f on true
    left join lateral (
      select e.version, e.reason from message_events e
      where in_request_key is not null and e.message_id = u.message_id and e.type = 'replayed' and e.actor = in_actor
        and e.request_key = in_request_key
      limit 1
    ) a on true
  ),
  judged as materialized (
    select i.*,
      case
        when i.version is null then 'unknown'
        when i.accepted_reason = in_reason then 'repeated'
        when i.accepted_version is not null then 'key_reused'
        when not i.is_replayable then 'not_replayable'
        when i.is_first then 'replayed'
        when in_request_key is not null then 'repeated'
        else 'not_replayable'
      end as answer
    from input i
  ),
  appended as (
    insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, reason,
      request_key)
    select j.message_id, j.version + 1, greatest((select current_position()), j.position), t.replayed_at, 'replayed', in_actor,
      'pending', 0, t.replayed_at, in_reason, in_request_key
    from judged j
    cross join lateral (select greatest(clock_timestamp(), j.recorded_at) as replayed_at) t
    where j.answer = 'replayed'
    order by j.message_id
  )
  select j.place, j.answer,
    case when j.accepted_version is not null then j.accepted_version when j.is_replayable then j.version + 1 else j.version end,
    case when j.accepted_version is null and j.is_replayable then 'pending' else j.status end
  from judged j
  order by j.place;
  perform refuse_unprojected();
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

CREATE OR REPLACE FUNCTION public.server_change(in_change server_changes)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select in_change.epoch || '@' || lease_micros(in_change.recorded_at)
$function$
;

CREATE OR REPLACE FUNCTION public.settle(in_actor text, in_message_ids bigint[], in_transaction_ids text[], in_attempts integer[], in_leases timestamp with time zone[], in_outcomes text[], in_status_codes integer[], in_durations_ms integer[], in_reasons text[], in_delays_ms bigint[])
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
  settled_at timestamptz := clock_timestamp();
  answers text[];
  late int;
begin
  with input as materialized (
    select i.*, m.version, m.retry_count, m.position, m.recorded_at,
      m.status = 'processing' and m.attempts = i.attempt and m.claimed_by = in_actor and m.due_at = i.lease_ends_at
        and m.transaction_id = i.transaction_id as is_open
    from (
      select * from unnest(in_message_ids, in_transaction_ids, in_attempts, in_leases, in_outcomes, in_status_codes,
          in_durations_ms, in_reasons, in_delays_ms)
        with ordinality as u(message_id, transaction_id, attempt, lease_ends_at, outcome, status_code, duration_ms, reason,
          delay_ms, place)
      order by u.message_id
    ) i
    left join lateral (
      select s.version, s.retry_count, s.position, s.recorded_at, s.status, s.attempts, s.claimed_by, s.due_at,
        s.transaction_id
      from message_states s where s.message_id = i.message_id limit 1 for no key update
    ) m on true
  ),
  appended as (
    insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, attempt,
      outcome, status_code, duration_ms, reason)
    select i.message_id, i.version + e.step, greatest((select current_position()), i.position),
      greatest(settled_at, i.recorded_at), e.type, in_actor, e.status, e.retry_count, e.due_at, i.attempt, e.outcome,
      e.status_code, e.duration_ms, e.reason
    from input i
    cross join lateral (
      select 1 as step, 'succeeded' as type, 'success' as status, i.retry_count, null::timestamptz as due_at, i.outcome,
        i.status_code, i.duration_ms, i.reason
      where i.outcome = 'accepted'
      union all
      select 1, 'attempt_failed', 'failed', i.retry_count + case when i.delay_ms is null then 0 else 1 end,
        greatest(settled_at, i.recorded_at) + i.delay_ms * interval '1 millisecond', i.outcome, i.status_code, i.duration_ms,
        i.reason
      where i.outcome <> 'accepted'
      union all
      select 2, 'dead_lettered', 'dead_letter', i.retry_count, null, null, null, null,
        case i.outcome when 'refused' then 'refused' else 'retries exhausted' end
      where i.outcome <> 'accepted' and i.delay_ms is null
    ) e
    where i.is_open
    order by 1, 2
  )
  select array_agg(case when i.is_open then 'appended' end order by i.place) into answers from input i;
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
      in_reason => in_reasons[late]);
  end loop;
  return answers;
end
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
