-- Which measure of the rollups counts an event; null for one that tells nothing new: a conflict on the original's side, which
-- the record's own message has, and a late result that changes nothing. `begins`: it is its message's first. `succeeds`: the
-- message is a success now and was none.
drop function if exists event_measure;
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
    when 'replayed' then 'replayed'
    when 'duplicate_received' then 'duplicates'
    when 'conflict_received' then case when in_begins then 'conflicts' end
    when 'rejected' then 'rejected'
    when 'late_result_observed' then case when in_succeeds then 'succeeded' end
  end
$$;
