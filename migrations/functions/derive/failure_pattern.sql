-- Takes ids and numbers out of a failure's reason, so that one fault is one pattern however many messages it hit. Two things
-- stay: an HTTP status, which says what the fault is, and a constant such as ERR_SSL_TLSV13_ALERT.
--
-- Called by: count_failures, count_failures_of, the list of messages (src/log/read), plans (src/log/write/plan-replay.ts), the checker
-- (src/verify/check-rolled-up.ts).
-- Returns: the pattern, cut to 500 characters so that it fits into an index row of the rollups; null for null.
create or replace function failure_pattern(in_reason text) returns text
language plpgsql immutable parallel safe strict
set search_path = pg_catalog, pg_temp
as $$
declare
  -- An identity may be any text. It is found by the words that ingest writes before it.
  pattern text := regexp_replace(in_reason, '^(the same transaction id with other bytes: ).*', '\1<id>');
begin
  -- Most reasons have no digit but a status. They need nothing of what follows.
  if replace(pattern, 'HTTP ', '') !~ '[0-9]' or pattern ~ '^HTTP [0-9]{3}[^0-9]*$' then
    return left(pattern, 500);
  end if;
  -- First words that mix letters and digits, such as UUIDs; then the remaining numbers.
  pattern := regexp_replace(pattern, '(?<![A-Za-z0-9_-])(?=[A-Za-z0-9_-]*[0-9])(?=[A-Za-z0-9_-]*[A-Za-z])'
    '(?![A-Z][A-Z0-9]*(_[A-Z][A-Z0-9]*)+(?![A-Za-z0-9_-]))[A-Za-z0-9_-]+', '<id>', 'g');
  return left(regexp_replace(pattern, '(?<![A-Za-z0-9_])(?<!HTTP )[0-9]+([.,:-][0-9]+)*', '<n>', 'g'), 500);
end
$$;
