-- Says in which queue a message of this status waits.
--
-- Called by: project, rebuild_fold.
-- Returns: the status itself if the message waits for an attempt or for an operator; otherwise null.
create or replace function queue_of(in_status text) returns text
language sql immutable parallel safe
as $$
  select case when in_status in ('pending', 'failed', 'dead_letter') then in_status end
$$;
