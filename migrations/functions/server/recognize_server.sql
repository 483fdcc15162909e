-- Finds out which server the log is on, for an instance that may have come to another one: a promoted standby, a restored copy.
-- Records a change that nobody has recorded yet. It then begins an epoch and moves the message ids on, so that no position and
-- no message id of the part that may be lost is given out again.
--
-- `in_change` is the change that the caller knows, `in_seen` the highest position that it has seen since; both are null at its
-- first call. A log that ends below `in_seen` was put back to an older copy, even if the server names itself the same.
--
-- Called by: src/log/server/recognize-server.ts.
-- Returns: the latest change, which names the server. A caller that knew another one must check again whatever it remembers of
-- the log. No row if no change is recorded and none can be: the log came from an older cluster, and an operator must begin an
-- epoch first (`npm run epoch`).
create or replace function recognize_server(in_actor text, in_change text, in_seen bigint)
returns table (change text, epoch int, timeline int, from_timeline int, lost_positions bigint)
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
  -- More positions than can be lost unseen, and more message ids than one position can have used (a slice has at most 250
  -- records).
  margin constant bigint := 1000000;
  ids_each constant bigint := 500;
  here_system text := (select system_identifier::text from pg_control_system());
  here_timeline int := ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int;
  here_position bigint;
  known server_changes;
  lost bigint;
  is_rewound boolean;
  begun int;
begin
  for attempt in 1 .. 2 loop
    here_position := last_position();
    lost := greatest(in_seen - here_position, 0);
    known := null;
    select c.* into known from server_changes c order by c.epoch desc limit 1;
    -- If this log has a change that the caller does not know, then what the caller saw before says nothing about this log. If the
    -- caller knows a change that this log does not have, then this log was put back.
    is_rewound := lost > 0 and (in_change = server_change(known) or not exists (
      select from server_changes c where server_change(c) = in_change
    ));
    exit when known.system_identifier = here_system and known.timeline = here_timeline and is_rewound is not true;
    -- A log from an older cluster: an operator begins an epoch first, because nothing can be appended until then.
    exit when rewound_by(log_floor()) > 0;
    if attempt = 1 then
      -- Every transaction that appends holds a lock on this table (current_position), so none is open while the change is recorded.
      -- Who only reads does not wait, and is not waited for: a dump that was begun on the standby may take hours. Then look
      -- once more, because another instance may have recorded the change.
      lock table log_epochs in exclusive mode;
      continue;
    end if;
    if known.epoch is null then
      insert into server_changes (epoch, actor, system_identifier, timeline, position)
        select max(l.epoch), in_actor, here_system, here_timeline, here_position from log_epochs l;
    else
      insert into log_epochs as l (epoch, base, actor, reason)
        select max(o.epoch) + 1, max(o.base) + margin + lost, in_actor,
          format('the server changed: system %s, timeline %s, last position %s', here_system, here_timeline, here_position)
        from log_epochs o
        returning l.epoch into begun;
      perform setval('message_ids', greatest(nextval('message_ids'), (select max(s.message_id) from message_states s))
        + margin + lost * ids_each);
      insert into server_changes (epoch, actor, system_identifier, timeline, position, from_system_identifier, from_timeline,
          from_position, lost_after)
        select begun, in_actor, here_system, here_timeline, here_position, known.system_identifier, known.timeline, in_seen,
          least(pg_last_xact_replay_timestamp(), (
            select max(e.recorded_at)
            from (select position, message_ids from event_positions order by position desc limit 1) p
            join message_events e on e.message_id = any (p.message_ids) and e.position = p.position
          ));
    end if;
    select c.* into strict known from server_changes c order by c.epoch desc limit 1;
  end loop;
  return query
    select server_change(known), known.epoch, known.timeline,
      known.from_timeline, greatest(known.from_position - known.position, 0)
    where known.epoch is not null;
end
$$;
