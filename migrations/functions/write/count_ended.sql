-- Counts those messages of a job whose first attempt after the replay has ended. A message that an operator has put on hold or cancelled
-- meanwhile, or that was archived, is counted as neither. An attempt that was not sent because it waited in its lane is none: its message
-- stays open. An attempt whose instance died has failed again, but it says nothing of the processor: it is not among the last ones by which
-- a job stops. Neither is a message whose key may be forgotten before its turn came.
--
-- Called by: step_job, which keeps the row of the job's state locked and stores what is returned.
-- Returns: the state with the new counts.
create or replace function count_ended(in_state replay_job_states, in_stop_after int)
returns replay_job_states
language plpgsql volatile
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
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
$$;
