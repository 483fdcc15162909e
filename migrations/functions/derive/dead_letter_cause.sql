-- Says why a message is a dead letter. The arguments are of the event that made it one.
--
-- Called by: count_letters, count_rollups, src/log/read/read-details.ts.
-- Returns: the cause, one of six.
create or replace function dead_letter_cause(in_type text, in_reason text) returns text
language sql immutable parallel safe
as $$
  select case in_type
    when 'rejected' then 'rejected_record'
    when 'conflict_received' then 'conflicting_record'
    when 'cancelled' then 'cancelled'
    else case
      when in_reason = 'refused' then 'refused'
      when in_reason like 'outcome unknown%' then 'outcome_unknown'
      else 'retries_exhausted'
    end
  end
$$;
