-- Says whether an event may have opened or closed a dead letter.
--
-- Called by: project.
create or replace function moves_letter(in_type text, in_version int, in_status text) returns boolean
language sql immutable parallel safe
as $$
  select in_type in ('dead_lettered', 'cancelled', 'replayed', 'resolved', 'reopened', 'rejected')
    or (in_type = 'conflict_received' and in_version = 1)
    or (in_type = 'late_result_observed' and in_status = 'success')
$$;
