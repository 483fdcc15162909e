-- The decisions of operators and of the service are listed newest first, over all the tables that they are recorded in (read_journal).

-- What operators decided about messages, without what a job or RETAIN_PAYLOAD did in their name: those are decisions of their own, and
-- there may be millions of what they did. `read_journal` repeats this condition word for word.
create index message_events_decided on message_events (recorded_at)
  where type in ('replayed', 'held', 'released', 'cancelled', 'resolved', 'reopened', 'expunged')
    and (request_key is null or request_key not like 'replay-job:%')
    and not (type = 'expunged' and reason like 'RETAIN\_PAYLOAD: %' and actor like '%/retention');
-- An operator who has decided little would else be looked for among all that the others have.
create index message_events_decided_by on message_events (actor, recorded_at)
  where type in ('replayed', 'held', 'released', 'cancelled', 'resolved', 'reopened', 'expunged')
    and (request_key is null or request_key not like 'replay-job:%')
    and not (type = 'expunged' and reason like 'RETAIN\_PAYLOAD: %' and actor like '%/retention');
create index destination_decisions_recorded on destination_decisions (recorded_at);
create index replay_job_events_recorded on replay_job_events (recorded_at);
create index partition_decisions_recorded on partition_decisions (recorded_at);
