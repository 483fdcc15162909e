-- Where payments are delivered, and whether they flow there. There is one destination, `default`.

-- What was decided about a destination, by the guard or by an operator. Ground: appended once, never changed. A destination flows until
-- its first decision. `failures`, `refusals` and `probes` are the counts that caused the decision.
create table destination_decisions (
  destination text collate "C" not null,
  -- Counts from 1. Each decision is made on the state that the one before it left, so no two can follow the same one.
  decision int not null,
  -- No attempt of this destination starts beside a decision. So what started before it has a lower position, and what
  -- started after it a higher one.
  position bigint not null,
  recorded_at timestamptz not null,
  state text not null check (state in ('flowing', 'held', 'paused', 'ramping')),
  cause text not null check (cause in ('failures', 'refusals', 'probes', 'ramped', 'operator', 'until')),
  -- When a pause ends by itself; null if an operator must end it.
  until timestamptz,
  failures int not null,
  refusals int not null,
  probes int not null,
  actor text not null check (actor <> ''),
  reason text not null check (reason <> ''),
  primary key (destination, decision),
  check (until is null or state = 'paused')
);

-- How a destination stands: its last decision, and what the guard counts. Derived; the counts begin at 0 again when they are lost.
create table destinations (
  destination text collate "C" primary key,
  decision int not null default 0,
  state text not null default 'flowing',
  cause text,
  since timestamptz,
  until timestamptz,
  -- Outcomes in a row that speak of the destination, with no answer to a payment between them.
  failures int not null default 0,
  -- Refused payments in a row, with no accepted one between them.
  refusals int not null default 0,
  -- Whether a payment was answered since the destination began to ramp.
  is_answered boolean not null default false,
  -- The reason of the last one that counted.
  last_reason text,
  -- Probes in a row that showed that the destination works again.
  probes int not null default 0,
  -- When the next probe may start while the destination is held, and how long the last wait was.
  next_probe_at timestamptz,
  probe_delay_ms bigint,
  -- The probe that is open, and when its lease ends.
  probe_message_id bigint,
  probe_attempt int,
  probe_ends_at timestamptz
) with (fillfactor = 50);
insert into destinations (destination) values ('default');
