-- Which measure of the rollups counts an event; null for one that tells nothing new: a conflict on the original's side, which
-- the record's own message has, and a late result that changes nothing. `begins`: it is its message's first. `succeeds`: the
-- message is a success now and was none.
create or replace function event_measure(type text, outcome text, begins boolean, succeeds boolean) returns text
language sql immutable parallel safe
as $$
  select case type
    when 'received' then 'received'
    when 'attempt_started' then 'attempts'
    when 'succeeded' then 'succeeded'
    when 'attempt_failed' then outcome
    when 'attempt_abandoned' then 'abandoned'
    when 'dead_lettered' then 'dead_lettered'
    when 'replayed' then 'replayed'
    when 'duplicate_received' then 'duplicates'
    when 'conflict_received' then case when begins then 'conflicts' end
    when 'rejected' then 'rejected'
    when 'late_result_observed' then case when succeeds then 'succeeded' end
  end
$$;
