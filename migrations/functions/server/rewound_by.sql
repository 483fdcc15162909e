-- Says by how much a position lies above all that this cluster has given out, or gives out next. It is above 0 only in a
-- cluster that was given the log of an older one, whose transaction ids were higher.
--
-- Called by: begin_epoch, current_position, recognize_server, src/log/server/inspect-log.ts.
-- Returns: the difference. The caller's own transaction id is counted too, because it is not in its snapshot.
create or replace function rewound_by(in_position bigint) returns bigint
language sql stable
as $$
  select in_position
    - greatest(pg_snapshot_xmax(pg_current_snapshot())::text::bigint, pg_current_xact_id_if_assigned()::text::bigint + 1)
    - (select base from log_epochs order by epoch desc limit 1)
$$;
