-- The id of a message that is its record and nothing else: one that was rejected, or that conflicts with another. Only of a later
-- incarnation does it name which; no topic's name has a colon.
drop function if exists record_id;
create or replace function record_id(in_topic text, in_partition int, in_incarnation int, in_offset bigint) returns text
language sql stable
as $$
  select concat_ws(':', 'record', in_topic, in_partition, in_offset, nullif(in_incarnation, 1))
$$;
