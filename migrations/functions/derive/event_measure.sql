-- Says which measure of the rollups counts an event.
--
-- Called by: count_steps, count_rollups. `in_begins`: the event is the first of its message. `in_succeeds`: the message is a
-- success now and was none before.
-- Returns: the measure, or null for an event that is not counted. These are a conflict on the side of the original message, because
-- the conflicting record has a message of its own; a late result that changes nothing; and `expunged`.
create or replace function event_measure(in_type text, in_outcome text, in_begins boolean, in_succeeds boolean) returns text
language sql immutable parallel safe
as $$
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
$$;
