-- Stores one slice of a partition, in one transaction and, for a normal slice, in one round trip. Every record at or above the
-- stored next offset becomes an event: `received`, `rejected`, `duplicate_received` or `conflict_received`. The offset
-- advances, and the first `in_room` received messages have their first attempt started if their destination flows
-- and has no pace.
--
-- Locks are taken in one order here and everywhere: the destination, the partition, new ids in byte order, existing messages by id, counters
-- last.
--
-- Called by: src/log/write/ingest.ts. The slice is the offsets from `in_first` to before `in_next`. The arrays from `in_offsets` to
-- `in_timestamps_ms` lie side by side, one element for each record; `in_hole_firsts` and `in_hole_nexts` have one for each hole.
-- `in_begins` is where the partition's first slice began, by all that the caller knows; null if it knows nothing. It counts only if nothing
-- of the partition is stored: then a failover or a restore has taken it out of the log, and a slice from further on would leave out what
-- lies before it. Returns: one row. `answer` is one of
--   stored   `results` has a letter for each record: r received, x rejected, d duplicate, c conflict, s skipped (below the stored
--            offset). The first `claimed` received messages have an attempt, whose lease ends at `lease_ends_at` (microseconds since
--            1970).
--   ahead    the slice begins above the stored next offset; nothing was stored
--   stopped  the partition is stopped, for `reason`; nothing was stored
--   ended    a later incarnation of the partition has begun; nothing was stored
-- Refuses: an incarnation after the first that no operator has begun.
create or replace function ingest(
  in_topic text,
  in_partition int,
  in_incarnation int,
  in_first bigint,
  in_next bigint,
  in_actor text,
  in_room int,
  in_lane text,
  in_lease_ms bigint,
  in_offsets bigint[],
  in_transaction_ids text[],
  in_rejections text[],
  in_payload_hashes bytea[],
  in_payloads bytea[],
  in_payload_states text[],
  in_payload_sizes int[],
  in_are_json boolean[],
  in_keys bytea[],
  in_headers text[],
  in_traceparents text[],
  in_timestamps_ms bigint[],
  in_hole_firsts bigint[],
  in_hole_nexts bigint[],
  in_begins bigint default null
) returns table (answer text, next_offset bigint, reason text, results text, message_ids bigint[], claimed int,
  lease_ends_at bigint)
language plpgsql volatile security definer
set search_path = public, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  room int := 0;
  target destinations;
  held_partition int;
  stored bigint;
  is_ended boolean;
  minted bigint[];
  known boolean := false;
  written_at timestamptz;
  written_position bigint;
  place int;
  original bigint;
begin
  if in_room > 0 then
    target := enter_destination('default');
    -- Where there is a pace, only a look takes slots.
    room := case when target.state = 'flowing' and target.rate_limit is null and target.throttled_at is null then in_room else 0 end;
  end if;
  loop
    select p.partition_id into held_partition from partitions p
      where p.topic = in_topic and p.partition = in_partition and p.incarnation = in_incarnation for no key update;
    exit when found;
    -- Only an operator begins a later incarnation.
    if in_incarnation <> 1 then
      raise exception 'partition %:% has no incarnation %', in_topic, in_partition, in_incarnation;
    end if;
    insert into partitions (topic, partition) values (in_topic, in_partition)
      on conflict (topic, partition, incarnation) do nothing;
  end loop;
  -- A statement of its own: a statement that locks and reads returns the value from before its wait (measured).
  select coalesce((
        select a.next_offset from partition_advances a
        where a.partition_id = p.partition_id order by a.next_offset desc limit 1
      ), p.begins_at, in_begins, in_first),
      exists (
        select from partitions l
        where l.topic = in_topic and l.partition = in_partition and l.incarnation = in_incarnation + 1
      ),
      (select case when d.type = 'stopped' then d.reason end from partition_decisions d
        where d.partition_id = p.partition_id order by d.decision desc limit 1)
    into stored, is_ended, reason
    from partitions p where p.partition_id = held_partition;
  next_offset := stored;
  if is_ended or reason is not null then
    answer := case when is_ended then 'ended' else 'stopped' end;
    return next;
    return;
  end if;
  if in_first > stored then
    answer := 'ahead';
    return next;
    return;
  end if;
  next_offset := greatest(stored, in_next);
  answer := 'stored';
  claimed := 0;
  if in_next <= stored then
    results := repeat('s', cardinality(in_offsets));
    return next;
    return;
  end if;

  written_at := clock_timestamp();
  written_position := current_position();
  minted := array(select nextval('message_ids') from generate_series(1, cardinality(in_offsets)));
  -- The sweep makes segments ahead of need. Without a sweep the log must go on all the same.
  if coalesce((select l.next_message_id from log_segments l order by l.segment desc limit 1), 0)
      <= minted[cardinality(minted)] then
    perform make_segments();
  end if;
  -- First a plain insert, because nearly every slice has new ids only: 7 µs a message less than ON CONFLICT (measured).
  begin
    insert into inbox (transaction_id, message_id, payload_sha256)
      select r.transaction_id, r.message_id, r.hash
      from unnest(in_transaction_ids, minted, in_payload_hashes, in_offsets) as r(transaction_id, message_id, hash, kafka_offset)
      where r.kafka_offset >= stored
      order by r.transaction_id collate "C";
  exception when unique_violation then
    -- Whatever the index is called: REINDEX CONCURRENTLY leaves the old one in force under another name, for as long as anybody reads.
    known := true;
  end;
  if known then
    insert into inbox (transaction_id, message_id, payload_sha256)
      select distinct on (r.transaction_id collate "C") r.transaction_id, r.message_id, r.hash
      from unnest(in_transaction_ids, minted, in_payload_hashes, in_offsets) as r(transaction_id, message_id, hash, kafka_offset)
      where r.kafka_offset >= stored
      order by r.transaction_id collate "C", r.kafka_offset
      on conflict (transaction_id) do nothing;
  end if;
  -- A statement of its own, because it sees who won an id that two partitions brought at the same time.
  if known then
    select coalesce(string_agg(
        case when r.kafka_offset < stored then 's'
          when i.message_id = r.message_id then case when r.rejection is null then 'r' else 'x' end
          when i.payload_sha256 = r.hash then 'd'
          else 'c' end, '' order by r.place), '')
      into results
      from unnest(in_transaction_ids, minted, in_payload_hashes, in_offsets, in_rejections) with ordinality
        as r(transaction_id, message_id, hash, kafka_offset, rejection, place)
      left join lateral (
        select b.message_id, b.payload_sha256 from inbox b where b.transaction_id = r.transaction_id collate "C" limit 1
      ) i on true;
    -- A conflicting record is a message of its own. Its id is made from its coordinates, so nobody else inserts it.
    insert into inbox (transaction_id, message_id, payload_sha256)
      select record_id(in_topic, in_partition, in_incarnation, r.kafka_offset), r.message_id, r.hash
      from unnest(minted, in_payload_hashes, in_offsets, string_to_array(results, null))
        as r(message_id, hash, kafka_offset, result)
      where r.result = 'c';
  else
    -- A slice may be one hole and have no record.
    select coalesce(string_agg(case when r.kafka_offset < stored then 's' when r.rejection is null then 'r' else 'x' end, ''
        order by r.place), '')
      into results
      from unnest(in_offsets, in_rejections) with ordinality as r(kafka_offset, rejection, place);
  end if;

  insert into records (message_id, version, key, headers, traceparent, timestamp_ms, payload, payload_state, payload_bytes,
      is_json)
    select r.message_id, 1, r.key, r.headers::json, r.traceparent, r.timestamp_ms, r.payload, r.payload_state, r.payload_bytes,
      r.is_json
    from unnest(minted, in_keys, in_headers, in_traceparents, in_timestamps_ms, in_payloads, in_payload_states,
        in_payload_sizes, in_are_json, string_to_array(results, null))
      as r(message_id, key, headers, traceparent, timestamp_ms, payload, payload_state, payload_bytes, is_json, result)
    where r.result in ('r', 'x', 'c');

  -- Version 1 of every new message and, while there is room, version 2, in one statement. So the trigger runs once and writes
  -- one row for each message.
  insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, attempt,
      reason, topic, partition, kafka_offset, incarnation, payload_sha256, transaction_id, related_message_id)
    select r.message_id, e.version, written_position, written_at, e.type, e.actor, e.status, 0, e.due_at, e.attempt, e.reason,
      e.topic, e.partition, e.kafka_offset, e.incarnation, e.hash, e.transaction_id, e.related_message_id
    from (
      select u.*, count(*) filter (where u.result = 'r') over (order by u.place) as nth
      from unnest(minted, in_transaction_ids, in_rejections, in_payload_hashes, in_offsets, string_to_array(results, null))
        with ordinality as u(message_id, transaction_id, rejection, hash, kafka_offset, result, place)
    ) r
    cross join lateral (
      select 1 as version,
        case r.result when 'r' then 'received' when 'x' then 'rejected' else 'conflict_received' end as type,
        in_actor as actor,
        case r.result when 'r' then 'pending' else 'dead_letter' end as status,
        case r.result when 'r' then written_at end as due_at,
        null::int as attempt,
        case r.result when 'x' then r.rejection
          when 'c' then format('the same transaction id with other bytes: %s', r.transaction_id) end as reason,
        in_topic as topic, in_partition as partition, r.kafka_offset, in_incarnation as incarnation, r.hash,
        case r.result when 'c' then record_id(in_topic, in_partition, in_incarnation, r.kafka_offset)
          else r.transaction_id end as transaction_id,
        case r.result when 'c' then (
          select b.message_id from inbox b where b.transaction_id = r.transaction_id collate "C" limit 1
        ) end as related_message_id
      union all
      select 2, 'attempt_started', in_lane, 'processing', written_at + in_lease_ms * interval '1 millisecond', 1, null,
        null, null, null, null, null, null, null
      where r.result = 'r' and r.nth <= room
    ) e
    where r.result in ('r', 'x', 'c')
    order by 1, 2;
  perform refuse_unprojected();

  if known then
    for place, original in
      select r.place, b.message_id
      from unnest(in_transaction_ids, string_to_array(results, null)) with ordinality as r(transaction_id, result, place)
      cross join lateral (
        select i.message_id from inbox i where i.transaction_id = r.transaction_id collate "C" limit 1
      ) b
      where r.result in ('d', 'c')
      order by b.message_id, r.place
    loop
      perform append_record_event(
        in_message_id => original,
        in_actor => in_actor,
        in_topic => in_topic,
        in_partition => in_partition,
        in_incarnation => in_incarnation,
        in_offset => in_offsets[place],
        in_hash => in_payload_hashes[place],
        in_conflicting_id => case when substr(results, place, 1) = 'c' then minted[place] end,
        in_key => in_keys[place],
        in_headers => in_headers[place],
        in_traceparent => in_traceparents[place],
        in_timestamp_ms => in_timestamps_ms[place],
        in_payload_bytes => in_payload_sizes[place]);
    end loop;
  end if;

  if cardinality(in_hole_firsts) > 0 then
    insert into partition_holes (partition_id, first_offset, next_offset, recorded_at, actor)
      select held_partition, greatest(h.first_offset, stored), h.next_offset, written_at, in_actor
      from unnest(in_hole_firsts, in_hole_nexts) as h(first_offset, next_offset)
      where h.next_offset > stored;
  end if;
  insert into partition_advances (partition_id, first_offset, next_offset, received, duplicates, conflicts, rejected, holes,
      first_message_id, last_message_id, recorded_at, actor)
    select held_partition, stored, in_next, c.received, c.duplicates, c.conflicts, c.rejected,
      in_next - stored - c.received - c.duplicates - c.conflicts - c.rejected, minted[1], minted[cardinality(minted)],
      written_at, in_actor
    from (
      select count_letter(results, 'r') as received, count_letter(results, 'd') as duplicates,
        count_letter(results, 'c') as conflicts, count_letter(results, 'x') as rejected
    ) c;
  message_ids := minted;
  claimed := least(room, count_letter(results, 'r'));
  lease_ends_at := lease_micros(written_at + in_lease_ms * interval '1 millisecond');
  return next;
end
$$;
