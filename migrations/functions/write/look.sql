-- One look of a lane, in one round trip: starts what is due and fits in `room`, then says when to look next. It answers rows of
-- two kinds. A `claim` is an attempt that was started: the columns up to lease_ends_at. A `timer` is for one status that the lane
-- waits on, the columns from status on: in how many milliseconds, by the database's clock, its earliest row is due (0 or less:
-- now; null: nothing waits), and the bound to look from next time; with how far the log reaches, so that the caller knows if
-- ever it ends below that. Claims come first. The columns of the other kind are null.
--
-- That bound is the earliest waiting row, or if that is earlier the lowest due_at that a row still uncommitted may have: it was
-- written at most `commit_ms_max` ago, and a lease ends no sooner than the shortest one allows. It is text in one fixed form,
-- because it comes back as it was given and sessions differ in how they print a time.
create or replace function look(
  in_status text,
  in_actor text,
  room int,
  bytes_max bigint,
  in_lease_ms bigint,
  statuses text[],
  look_from timestamptz[],
  reconnected_at timestamptz,
  grace_ms bigint,
  commit_ms_max bigint
) returns table (kind text, message_id bigint, attempt int, retry_count int, transaction_id text, payload bytea,
  traceparent text, age_ms double precision, lease_ends_at bigint, status text, due_in_ms double precision, next_look_from text,
  last_position bigint)
language plpgsql volatile security definer
set search_path = public, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  looked_at timestamptz;
  which int;
  earliest timestamptz;
begin
  return query
    select 'claim', c.message_id, c.attempt, c.retry_count, c.transaction_id, c.payload, c.traceparent, c.age_ms,
      c.lease_ends_at, null::text, null::double precision, null::text, null::bigint
    from claim(in_status, in_actor, room, bytes_max, in_lease_ms, look_from[1]) c;
  for which in 1 .. cardinality(statuses) loop
    select s.due_at into earliest from message_states s
      where s.status = statuses[which] and s.due_at is not null and s.due_at >= look_from[which]
      order by s.due_at limit 1;
    looked_at := clock_timestamp();
    return query select 'timer', null::bigint, null::int, null::int, null::text, null::bytea, null::text,
      null::double precision, null::bigint, statuses[which],
      extract(epoch from case statuses[which] when 'processing' then lease_ends_at(earliest, reconnected_at, grace_ms)
        else earliest end - looked_at)::double precision * 1000,
      to_char(least(earliest, looked_at + (case statuses[which] when 'processing'
        then coalesce((select min(lease_ms) from instances), 0) else 0 end - commit_ms_max) * interval '1 millisecond') at time zone 'UTC',
        'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      last_position();
  end loop;
end
$$;
