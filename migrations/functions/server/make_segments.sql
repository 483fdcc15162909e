-- Makes the segments of the log that are needed soon: after each call one whole segment lies ahead of the last message id.
--
-- `in_messages` is how many messages a new segment holds. Null means as many as the smallest one, or 5 million for the first. A smaller
-- number than before takes effect after the segments that there are.
--
-- A new partition is made as a table of its own and then attached: `create table … partition of` would lock everybody out of the
-- whole table, attaching locks nobody out who reads or writes rows.
--
-- Called by: src/log/server/make-segments.ts (each start, and the sweep); ingest, if no segment is left.
-- Returns: how many segments were made.
create or replace function make_segments(in_messages bigint default null) returns int
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
declare
  latest log_segments;
  reached bigint;
  size bigint;
  first_id bigint;
  next_id bigint;
  made int := 0;
  parent text;
  part text;
begin
  -- One session at a time.
  perform pg_advisory_xact_lock(hashtextextended('make_segments', 0));
  loop
    select s.* into latest from log_segments s order by s.segment desc limit 1;
    select case when m.is_called then m.last_value else m.last_value - 1 end into reached from message_ids m;
    -- The smallest that there is: one that skipped ids is larger.
    size := coalesce(in_messages, (select min(s.next_message_id - s.first_message_id) from log_segments s), 5000000);
    exit when latest.next_message_id - 1 - reached >= size;
    first_id := coalesce(latest.next_message_id, 1);
    -- The ids may have gone on far beyond, because a change of the server skips some (recognize_server).
    next_id := greatest(first_id, reached + 1) + size;
    latest.segment := coalesce(latest.segment, 0) + 1;
    foreach parent in array array['message_events', 'records', 'message_states']
    loop
      part := format('%s_s%s', parent, latest.segment);
      execute format('create table %I (like %I including all)', part, parent);
      if parent = 'message_states' then
        -- Half of each page is left free, so that a message's next row version lands on the page it is already on.
        -- A row changes once or twice soon after it was made. So a vacuum is due when a small share of the rows is dead.
        execute format('alter table %I set (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05)', part);
      else
        -- Rows never change, but for records that are expunged. A vacuum after each 500,000 freezes them for good, so that none must read
        -- them again years later.
        execute format('alter table %I set (autovacuum_freeze_min_age = 0, autovacuum_vacuum_insert_scale_factor = 0,
          autovacuum_vacuum_insert_threshold = 500000)', part);
        -- What is expunged is on disk until a vacuum, so one is due when a small share of the rows is dead.
        if parent = 'records' then
          execute format('alter table %I set (autovacuum_vacuum_scale_factor = 0.05,
            toast.autovacuum_vacuum_scale_factor = 0.05)', part);
        end if;
        -- The guard of the whole table does not see a statement that names its partition.
        execute format('create trigger append_only before update or delete or truncate on %I
          for each statement execute function refuse_change()', part);
        execute format('alter table %I enable always trigger append_only', part);
        -- An insert into the partition would go past the trigger that projects it. An insert into the whole table does not fire this
        -- one. It is not on always: a restore and a logical replica fill the partitions one by one.
        execute format('create trigger past_the_log before insert on %I
          for each statement execute function refuse_change()', part);
      end if;
      execute format('alter table %I attach partition %I for values from (%s) to (%s)', parent, part, first_id, next_id);
    end loop;
    insert into log_segments (segment, first_message_id, next_message_id) values (latest.segment, first_id, next_id);
    made := made + 1;
  end loop;
  return made;
end
$$;
