-- What the processor calls a payment, and where each attempt of it was sent.

-- What an answer calls the payment: on events that record an answer, where it has one and REFERENCE says where to find it.
alter table message_events add column reference text collate "C";
-- What the last such answer called it.
alter table message_states add column reference text collate "C";
alter table stray_outcomes add column reference text collate "C";

-- An index on message_states would make each success a new row version in all of its indexes. Events are only ever inserted. While REFERENCE
-- is off, no event has an entry here.
create index message_events_reference on message_events (reference, message_id) where reference is not null;

-- Where an instance sends its attempts, without user, password and query. It is a setting, so it is the same for all attempts of an instance, and
-- each event has the instance in `actor`. Null for an instance of an earlier release.
alter table instances add column destination_url text;

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
    ) as resolution,
    s.reference
  from message_states s;

-- Their parameters are others now.
drop function if exists settle_attempts(text, bigint[], text[], int[], timestamptz[], text[], int[], int[], text[], bigint[], bigint[], text[]);
drop function if exists observe_late(text, bigint, text, int, timestamptz, text, int, int, text);
drop function if exists append_late(text, bigint, int, text, text, int, int, text);
drop function if exists keep_stray(text, text, bytea, int, timestamptz, text, int, int, text);
drop function if exists record_inquiry(text, bigint, text, timestamptz, text, int, int, text, bigint, bigint, text);
drop function if exists register_instance(text, text, int, int, bigint, bigint, int, bigint, bigint, bigint, bigint);
