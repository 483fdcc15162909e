-- Finds the record with the highest offset that a partition has in the log, and the hash of its value. The broker must still
-- have this record, unless it was deleted there. The search goes back over slices without records, such as the end of a Kafka
-- transaction or a gap.
--
-- Called by: src/log/write/next-offsets.ts.
-- Returns: one row; none if the partition has no record, or if its last ones are archived.
create or replace function last_record(in_partition_id int) returns table (kafka_offset bigint, payload_sha256 bytea)
language sql stable
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
  select e.kafka_offset, e.payload_sha256
  from (
    select p.topic, p.partition, p.incarnation, a.first_offset, a.next_offset, a.first_message_id, a.last_message_id
    from partitions p
    cross join lateral (
      select * from partition_advances s
      where s.partition_id = p.partition_id and s.received + s.duplicates + s.conflicts + s.rejected > 0
      order by s.next_offset desc limit 1
    ) a
    where p.partition_id = in_partition_id
  ) slice
  cross join lateral (
    (
      select m.kafka_offset, m.payload_sha256 from message_events m
      where m.message_id between slice.first_message_id and slice.last_message_id and m.version = 1
        and m.topic = slice.topic and m.partition = slice.partition and m.incarnation = slice.incarnation
    )
    union all
    (
      select d.kafka_offset, d.payload_sha256 from message_events d
      where d.topic = slice.topic and d.partition = slice.partition and d.type = 'duplicate_received'
        and d.kafka_offset >= slice.first_offset and d.kafka_offset < slice.next_offset and d.incarnation = slice.incarnation
      order by d.kafka_offset desc limit 1
    )
    union all
    (
      select d.kafka_offset, d.payload_sha256 from archived_duplicates d
      where d.topic = slice.topic and d.partition = slice.partition and d.incarnation = slice.incarnation
        and d.kafka_offset >= slice.first_offset and d.kafka_offset < slice.next_offset
      order by d.kafka_offset desc limit 1
    )
  ) e
  order by e.kafka_offset desc limit 1
$$;
