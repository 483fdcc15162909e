-- What is known of payments that the processor may have carried out: how long it remembers their keys, and that an operator has confirmed
-- that one was not carried out.

-- How long the processor remembers an idempotency key, by the setting of the instance; null for ever.
alter table instances add column key_window_ms bigint;

-- On `replayed` only, where the key's window had passed: the operator says that the payment was not carried out.
alter table message_events add column confirmed_not_carried_out boolean;

insert into legal_transitions (from_status, type, to_status) values
  -- A replayed message that may have been carried out, and whose key's window passed before its turn came.
  ('pending', 'dead_lettered', 'dead_letter');

-- Their parameters are others now.
drop function if exists register_instance(text, text, int, int, bigint, bigint, int, bigint, bigint);
drop function if exists claim(text, boolean, text, int, bigint, bigint, timestamptz, timestamptz);
drop function if exists look_lane(text, text, int, int, bigint, bigint, text[], timestamptz[], timestamptz, bigint);
drop function if exists replay_messages(text[], text, text, text);
