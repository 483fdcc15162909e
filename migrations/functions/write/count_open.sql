-- Counts the messages that jobs have open. Of those `busy` ones are under way or due now: they have room of a lane, or are about to take it. The
-- others wait, such as for the next inquiry about a payment in doubt.
--
-- Called by: step_job.
-- Returns: one row, of all jobs, and of `in_job` alone.
create or replace function count_open(in_job bigint, out every int, out busy int, out own int, out own_busy int)
language plpgsql volatile
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
  select count(*), count(*) filter (where m.is_busy), count(*) filter (where o.job = in_job),
    count(*) filter (where m.is_busy and o.job = in_job)
    into every, busy, own, own_busy
  from replay_job_open o
  left join lateral (
    select s.status = 'processing' or s.due_at <= clock_timestamp()
      -- While the processor is asked, the message is due when the lease of the inquiry ends.
      or s.outcome_unknown and exists (
        select from message_events e where e.message_id = o.message_id and e.version = s.version and e.type = 'inquiry_started'
      ) as is_busy
    from message_states s where s.message_id = o.message_id limit 1
  ) m on true;
end
$$;
