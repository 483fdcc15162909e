-- Says whether an event of this type begins or ends a decision about its message, or may end one.
--
-- Called by: project.
create or replace function is_decision(in_type text) returns boolean
language sql immutable parallel safe
as $$
  select in_type in ('held', 'released', 'cancelled', 'resolved', 'reopened', 'late_result_observed')
$$;
