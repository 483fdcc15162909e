-- Counts what the messages from `in_first` to before `in_next` give to the rollups: the events that are in the log, and for the
-- measures of the present (retries, unknown outcomes, decisions) the states. By default it counts all messages.
--
-- Called by: rebuild_rollups, drop_segment, src/log/archive/count-segment.ts.
-- Returns: one row for each minute, measure and bucket.
create or replace function count_rollups(in_first bigint default 0, in_next bigint default 9223372036854775807)
returns table (minute timestamptz, measure text, bucket int, n bigint)
language plpgsql stable
set search_path = public, pg_temp
set jit = off
as $$
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
$$;
