-- The position of what the calling transaction writes. Assigns it a transaction id if it has none yet. Refuses while positions
-- that were given out before a restore lie above it: what is appended then would be read, folded and counted out of order.
create or replace function current_position() returns bigint
language plpgsql volatile
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
  ahead bigint;
begin
  -- A delta stands for each statement that appended, and the fold's bound for those that are folded: far fewer rows lie above
  -- the last one that can be seen than in the log itself.
  select rewound_by(greatest(f.bound, d.position + 1)) into ahead
  from (select bound from status_count_folds order by bound desc limit 1) f
  left join lateral (
    select c.position from status_count_deltas c where c.position >= f.bound order by c.position desc limit 1
  ) d on true;
  if ahead > 0 then
    raise exception 'the log reaches % positions beyond the transaction ids of this cluster, as after a restore into a younger one', ahead
      using errcode = 'object_not_in_prerequisite_state', hint = 'npm run epoch -- --reason R';
  end if;
  return pg_current_xact_id()::text::bigint + (select base from log_epochs order by epoch desc limit 1);
end
$$;
