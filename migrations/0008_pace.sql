-- How fast payments go to a destination: a limit that an operator or a setting gives, and less while the processor asks for less.

-- Each decision carries the limit that holds from it on: attempts a second over all instances, and how many may go at once. Null: no limit.
-- A decision about the pace alone leaves the state as it was.
alter table destination_decisions
  add column rate_limit double precision,
  add column rate_burst int,
  add check (rate_limit > 0),
  add check (rate_burst > 0),
  add check ((rate_limit is null) = (rate_burst is null)),
  drop constraint destination_decisions_cause_check,
  add constraint destination_decisions_cause_check check (cause in ('failures', 'refusals', 'probes', 'ramped', 'operator', 'until',
    'rate', 'setting', 'throttled', 'unthrottled'));

alter table destinations
  -- The decision that began the state; null before the first one. `cause` and `since` are of that one.
  add column state_decision int,
  add column rate_limit double precision,
  add column rate_burst int,
  -- Of a processor that asked for less: when it did so last, the rate that was given then, and the rate that was too much (null until it
  -- asks for the second time).
  add column throttled_at timestamptz,
  add column throttled_rate double precision,
  add column throttled_from double precision,
  -- No attempt starts before: the processor named a time to wait.
  add column not_before timestamptz,
  -- When the next slot is free if each attempt takes 1 / rate seconds, and which lane took the last one. See free_slots.
  add column next_slot_at timestamptz,
  add column last_queue text,
  -- The slots that were taken since, and the rate before that.
  add column slots_since timestamptz,
  add column slots_taken int not null default 0,
  add column slots_rate double precision not null default 0;
-- Its parameters are others now.
drop function if exists claim(text, text, int, bigint, bigint, timestamptz);
update destinations set state_decision = decision where decision > 0;

-- Whether the last attempt of a message that waits for a retry was slow. Such messages may hold only a part of the retry lane (see look_lane), so it
-- must be possible to find the others without reading past them. Only messages that failed have entries in these indexes.
alter table message_states add column is_slow boolean not null default false;
update message_states s set is_slow = true
where s.queue = 'failed' and (
  select e.duration_ms from message_events e
  where e.message_id = s.message_id and e.type in ('attempt_failed', 'attempt_abandoned')
  order by e.version desc limit 1
) > 1000;
create index message_states_quick on message_states (due_at, message_id) where queue = 'failed' and not is_slow and due_at is not null;
create index message_states_slow on message_states (due_at, message_id) where queue = 'failed' and is_slow and due_at is not null;
