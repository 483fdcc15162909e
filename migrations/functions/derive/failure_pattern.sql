-- A failure's reason with ids and numbers taken out, so that one fault is one pattern however many messages it hit. An HTTP
-- status says what the fault is and stays, and so does a constant such as ERR_SSL_TLSV13_ALERT. No longer than an index row of
-- the rollups can hold.
drop function if exists failure_pattern;
create or replace function failure_pattern(in_reason text) returns text
language plpgsql immutable parallel safe strict
set search_path = pg_catalog, pg_temp
as $$
declare
  -- An identity may be any text, so it is known by what ingest writes before it.
  pattern text := regexp_replace(in_reason, '^(the same transaction id with other bytes: ).*', '\1<id>');
begin
  -- Most reasons hold no digit but a status, and are spared the rest.
  if replace(pattern, 'HTTP ', '') !~ '[0-9]' or pattern ~ '^HTTP [0-9]{3}[^0-9]*$' then
    return left(pattern, 500);
  end if;
  -- Letters and digits in one word, UUIDs among them; then the numbers that are left.
  pattern := regexp_replace(pattern, '(?<![A-Za-z0-9_-])(?=[A-Za-z0-9_-]*[0-9])(?=[A-Za-z0-9_-]*[A-Za-z])'
    '(?![A-Z][A-Z0-9]*(_[A-Z][A-Z0-9]*)+(?![A-Za-z0-9_-]))[A-Za-z0-9_-]+', '<id>', 'g');
  return left(regexp_replace(pattern, '(?<![A-Za-z0-9_])(?<!HTTP )[0-9]+([.,:-][0-9]+)*', '<n>', 'g'), 500);
end
$$;
