-- The id of a message that is its record and nothing else: one that was rejected, or that conflicts with another. Only of a later
-- incarnation does it name which; no topic's name has a colon.
create or replace function record_id(topic text, partition int, incarnation int, kafka_offset bigint) returns text
language sql stable
as $$
  select concat_ws(':', 'record', topic, partition, kafka_offset, nullif(incarnation, 1))
$$;
