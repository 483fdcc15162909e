-- Replay jobs: an operator plans which dead letters are to be replayed or resolved, and a job carries that out at a pace.

create sequence replay_plan_numbers;

-- What was planned: the open dead letters that met a filter in one snapshot of the log. A plan that nobody starts is removed when it has
-- expired. Once a job has started it, it stays, and nothing of it can be changed (keep_planned).
create table replay_plans (
  plan bigint primary key,
  planned_at timestamptz not null,
  expires_at timestamptz not null,
  actor text not null check (actor <> ''),
  reason text not null check (reason <> ''),
  -- The filter as its caller gave it.
  filter jsonb not null,
  dead_letters bigint not null,
  outcome_unknown bigint not null,
  -- Of those, how many the processor may have forgotten the key of by then (KEY_WINDOW of the instance that was started last).
  past_key_window bigint not null,
  -- Lists of {key, count, ...}, the most frequent first: by pattern of the last failure, by cause, and why some can never be sent.
  by_pattern jsonb not null,
  by_cause jsonb not null,
  not_replayable jsonb not null
);

-- The ids of a plan in pieces, in the order of the ids, and the version that each message had then. Those that can be replayed, and those
-- that can only be resolved, are in pieces of their own. 1 M ids take 13 MB.
create table replay_plan_ids (
  plan bigint not null references replay_plans on delete cascade deferrable initially deferred,
  is_replayable boolean not null,
  piece int not null,
  message_ids bigint[] not null,
  versions int[] not null,
  primary key (plan, is_replayable, piece)
);

-- The jobs. Ground: appended once, never changed. A plan has one job at most, and the job has its number. Every event `replayed` or
-- `resolved` of a job has the request key replay-job:N and the actor of the job.
create table replay_jobs (
  job bigint primary key references replay_plans,
  kind text not null check (kind in ('replay', 'resolve')),
  -- What the dead letters are resolved as; null for a replay.
  resolution text,
  started_at timestamptz not null,
  actor text not null check (actor <> ''),
  reason text not null check (reason <> ''),
  -- The caller's name for the request that started it.
  request_key text,
  per_second double precision check (per_second > 0),
  ramp_from double precision check (ramp_from > 0),
  -- The job stops by itself once this share of the last `stop_after` messages that ended has failed again.
  stop_share double precision check (stop_share > 0 and stop_share <= 1),
  stop_after int check (stop_after > 0),
  -- The operator says of those in doubt whose key may be forgotten that they were not carried out. Otherwise they are skipped.
  is_confirmed boolean not null,
  check ((kind = 'resolve') = (resolution is not null)),
  check ((stop_share is null) = (stop_after is null))
);

-- What was decided about a job, by an operator or by the job itself. Ground: appended once, never changed.
create table replay_job_events (
  job bigint not null references replay_jobs,
  -- Counts from 1 for each job.
  version int not null,
  recorded_at timestamptz not null,
  type text not null check (type in ('started', 'paused', 'resumed', 'pace_changed', 'stopped', 'aborted', 'done')),
  actor text not null check (actor <> ''),
  reason text not null check (reason <> ''),
  -- The pace from then on; null for none.
  per_second double precision,
  primary key (job, version)
);

-- How far each job has come. It is written in the transaction that replays, by the one instance that runs the job.
create table replay_job_states (
  job bigint primary key references replay_jobs,
  state text not null check (state in ('running', 'paused', 'stopped', 'aborted', 'done')),
  -- Of its last event.
  version int not null,
  -- Whether there is something to do: it runs, or messages that it has replayed are still open.
  is_active boolean not null,
  per_second double precision,
  ramp_from double precision,
  -- Since when it has been running, and the pace therefore rising.
  running_since timestamptz not null,
  -- When the pace allows the next replay.
  next_at timestamptz not null,
  -- The next id: in which piece, and how many of that piece are done.
  is_at_replayable boolean not null default true,
  piece int not null default 0,
  place int not null default 0,
  -- Replayed, or resolved by a job of that kind. The next two count how the first attempt after the replay ended.
  replayed bigint not null default 0,
  succeeded bigint not null default 0,
  failed_again bigint not null default 0,
  -- How many were skipped, by reason.
  skipped jsonb not null,
  -- How the last ones ended, as many as stop_after says: s for succeeded, f for failed again. Begins anew when the job is resumed.
  recent text not null default '',
  waits_for text,
  stopped_because text,
  -- Replays a second, as last measured, and from when and where it is measured now.
  rate double precision,
  rate_since timestamptz not null,
  rate_from bigint not null default 0,
  -- The instance that runs it, and until when no other one may.
  runner text,
  runner_until timestamptz,
  -- When subscribers were last told of the counts.
  told_at timestamptz not null,
  ended_at timestamptz
) with (fillfactor = 50);
create index replay_job_states_active on replay_job_states (job) where is_active;

-- The messages that a job has replayed and that have not ended their first attempt since: some thousands at most, see step_job.
create table replay_job_open (
  job bigint not null,
  message_id bigint not null,
  primary key (job, message_id)
);
