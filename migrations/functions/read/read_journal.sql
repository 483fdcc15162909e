-- Reads the decisions of operators and of the service, newest first, over all the tables that they are recorded in. Those of one instant
-- come in the order of (source, key1, key2), the highest first. Each source gives its newest ones after the cursor, from an index, so a
-- page reads a bounded number of rows however many decisions about payments there are, by whomever; the other sources are small. What a job
-- or RETAIN_PAYLOAD did to messages is left out: the job has its own decisions.
--
-- `in_kinds` are names of sources; `in_actor` is exact, null for any; the times are from inclusive, to exclusive. The cursor is the last
-- row of the page before; null for the first page.
--
-- Called by: src/log/read/read-journal.ts.
-- Returns: at most `in_rows_max` rows. `decided_by` is `operator` or `service`.
create or replace function read_journal(
  in_kinds text[],
  in_actor text,
  in_from timestamptz,
  in_to timestamptz,
  in_after_at timestamptz,
  in_after_source int,
  in_after_key1 bigint,
  in_after_key2 bigint,
  in_rows_max int
) returns table (recorded_at timestamptz, source int, key1 bigint, key2 bigint, kind text, decided_by text, actor text, decision text,
  detail text, reason text, evidence text, transaction_id text, destination text, topic text, partition int)
language plpgsql stable
set search_path = public, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
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
$$;
