-- Replays, or resolves, messages of a job's frozen set. A message that has changed since it was planned is skipped, by one of these reasons:
--   archived        it is not in the database any more
--   replayed        somebody has replayed it since; it may be a dead letter again
--   succeeded       a late answer has made it a success
--   resolved        somebody has resolved it
--   expunged        a replay would have no bytes to send
--   key_window_passed  it may have been carried out, and the processor may have forgotten its key. It is replayed only if the job is confirmed
--                   and the plan counted it as past the window: of what passed it since, nobody has said anything.
--
-- `in_key_window_ms` and `in_lease_ms` are as in replay_messages.
--
-- Called by: step_job.
-- Returns: one row: how many were replayed or resolved, and how many were skipped, by reason.
create or replace function work_ids(
  in_job replay_jobs,
  in_message_ids bigint[],
  in_versions int[],
  in_key_window_ms bigint,
  in_lease_ms bigint,
  out done int,
  out skipped jsonb
)
language plpgsql volatile
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
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
$$;
