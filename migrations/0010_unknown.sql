-- What is known of payments that the processor may have carried out: how long it remembers their keys, and that an operator has confirmed
-- that one was not carried out.

-- How long the processor remembers an idempotency key, by the setting of the instance; null for ever.
alter table instances add column key_window_ms bigint;
-- How long it waits before it asks the processor about a payment for the second time; null if it cannot ask.
alter table instances add column inquiry_gap_ms bigint;

-- On `replayed` only, where the key's window had passed: the operator says that the payment was not carried out.
alter table message_events add column confirmed_not_carried_out boolean;

-- On `inquired` only: what the processor said of the payment. The function record_inquiry checks the values.
alter table message_events add column inquiry text;

insert into legal_transitions (from_status, type, to_status) values
  -- A replayed message that may have been carried out, and whose key's window passed before its turn came.
  ('pending', 'dead_lettered', 'dead_letter'),
  -- The processor is asked about a payment before it is sent again, and has answered.
  ('pending', 'inquiry_started', 'pending'),
  ('failed', 'inquiry_started', 'failed'),
  ('pending', 'inquired', 'pending'),
  ('failed', 'inquired', 'failed');

-- Their parameters are others now.
drop function if exists register_instance(text, text, int, int, bigint, bigint, int, bigint, bigint);
drop function if exists claim(text, boolean, text, int, bigint, bigint, timestamptz, timestamptz);
drop function if exists look_lane(text, text, int, int, bigint, bigint, text[], timestamptz[], timestamptz, bigint);
drop function if exists begin_probe(text, text);
drop function if exists lock_due(text, boolean, int, timestamptz, timestamptz);
drop function if exists replay_messages(text[], text, text, text);
