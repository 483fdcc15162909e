-- Finds in the log which of these messages have a decision that stands: they are on hold, or resolved dead letters. A message is on hold
-- until it is released, cancelled, attempted or accepted late; a dead letter is resolved until it is reopened or accepted late. (Nothing
-- resolved is replayed; if it were, it would not be resolved.)
--
-- Called by: project_decisions, rebuild_decisions.
-- Returns: what `decided_messages` must have of them.
create or replace function decisions_of(in_message_ids bigint[]) returns setof decided_messages
language plpgsql stable
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
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
$$;
