-- A record is read only where its payload is asked for. Before PostgreSQL 16 an outer join with a partitioned table is never left out
-- of a plan, so a list of statuses read every record too. (The older text, in 0001, names the same columns.)
create or replace view messages as
  select
    s.transaction_id,
    (
      select convert_from(r.payload, 'UTF8')::json
      from records r
      where r.message_id = s.message_id and r.version = 1 and r.is_json and r.payload_state = 'whole'
    ) as payload,
    s.status,
    s.retry_count,
    s.error_message,
    case when s.status = 'failed' then s.due_at end as next_retry_at,
    s.created_at,
    s.updated_at,
    s.message_id,
    s.version,
    s.attempts,
    s.outcome_unknown
  from message_states s;
