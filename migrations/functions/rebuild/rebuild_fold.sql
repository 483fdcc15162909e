-- Computes from the log what the states of these messages must be: all events of a message, folded at once. The trigger
-- `project` comes to the same result by folding each statement onto the stored state.
--
-- Called by: rebuild_states.
-- Returns: one state for each message; none for a message without a version 1.
create or replace function rebuild_fold(in_message_ids bigint[]) returns setof message_states
language plpgsql stable
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
as $$
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
$$;
