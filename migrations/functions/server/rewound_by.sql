-- By how much a position lies above all that this cluster has given out or gives out next. Above 0 only in a cluster that was
-- given a log of an older one, whose transaction ids were higher. The caller's own id is not in its snapshot.
create or replace function rewound_by(in_position bigint) returns bigint
language sql stable
as $$
  select in_position
    - greatest(pg_snapshot_xmax(pg_current_snapshot())::text::bigint, pg_current_xact_id_if_assigned()::text::bigint + 1)
    - (select base from log_epochs order by epoch desc limit 1)
$$;
