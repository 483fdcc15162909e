-- Who came to the data, and by which way: what the log of the messages cannot tell, because it changes no message.

-- Ground: appended once, never changed. Rows are never removed.
create table accesses (
  -- The order in which they were written, with gaps.
  access bigint generated always as identity primary key,
  recorded_at timestamptz not null default clock_timestamp(),
  kind text not null check (kind in (
    'login_refused', 'payload_read', 'exported', 'command_started', 'command_ended', 'service_started', 'tokens_changed')),
  -- The name of a token's holder, or the author of a command; null where nobody is known.
  actor text check (actor <> '' and octet_length(actor) <= 255),
  role text check (octet_length(role) <= 32),
  -- Where the request came from: an address, of IPv6 the network of 64 bits.
  address text check (octet_length(address) <= 64),
  -- The instance that recorded it; null for a command.
  instance text check (octet_length(instance) <= 64),
  -- The role of the database that wrote this row.
  database_user text not null default session_user,
  -- What was done: the name of the operation, of the command, of what was exported, or why a login was refused.
  name text check (octet_length(name) <= 128),
  -- How many: refusals, messages whose bytes were read, or rows that were exported.
  amount bigint not null default 1 check (amount >= 0),
  -- Whose bytes were read: the first thousand.
  transaction_ids text[] collate "C" check (cardinality(transaction_ids) <= 1000),
  -- The command that a `command_ended` ends.
  started bigint,
  details jsonb not null default '{}' check (jsonb_typeof(details) = 'object' and octet_length(details::text) <= 65536)
);
create index accesses_kind on accesses (kind, access);
-- Who has read this payment's bytes?
create index accesses_transaction_ids on accesses using gin (transaction_ids) where transaction_ids is not null;
