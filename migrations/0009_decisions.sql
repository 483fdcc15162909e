-- An operator's decisions about one message: to put it on hold and to release it, to cancel it, to resolve a dead letter and to reopen it.

-- What a dead letter was resolved as, and what proves it; both on events of the type `resolved` only. The function decide_message
-- checks the values. A constraint here would read the whole log once.
alter table message_events add column resolution text, add column evidence text;

insert into legal_transitions (from_status, type, to_status) values
  -- The message waits, but nobody may attempt it.
  ('pending', 'held', 'pending'),
  ('failed', 'held', 'failed'),
  ('pending', 'released', 'pending'),
  ('failed', 'released', 'failed'),
  ('pending', 'cancelled', 'dead_letter'),
  ('failed', 'cancelled', 'dead_letter'),
  ('dead_letter', 'resolved', 'dead_letter'),
  ('dead_letter', 'reopened', 'dead_letter');

-- The decisions that still stand: messages on hold, and resolved dead letters. Derived. It has a table of its own, so that messages
-- about which nobody decides pay nothing for it.
create table decided_messages (
  message_id bigint primary key,
  -- The event `held` or `resolved`.
  version int not null,
  -- What the dead letter was resolved as; null for a message on hold.
  resolution text
);
create index decided_messages_on_hold on decided_messages (message_id) where resolution is null;

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
    s.outcome_unknown,
    s.due_at is null and s.status in ('pending', 'failed') as on_hold,
    (
      select d.resolution
      from decided_messages d
      where d.message_id = s.message_id
    ) as resolution
  from message_states s;
