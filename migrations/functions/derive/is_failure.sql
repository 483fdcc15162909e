-- Says whether an event of this type counts among the failures, if it has a reason.
--
-- Called by: project, count_failures_of.
create or replace function is_failure(in_type text) returns boolean
language sql immutable parallel safe
as $$
  select in_type in ('attempt_failed', 'attempt_abandoned', 'rejected')
$$;
