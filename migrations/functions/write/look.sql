-- Makes one look of a lane, in one round trip: it starts attempts for what is due, and says when to look next.
--
-- The bound for the next look (`next_look_from`) is the due time of the earliest waiting row. It is lower if a row that is not
-- committed yet may be due earlier: such a row was written at most 35 s ago, and a lease lasts at least as long as the shortest
-- lease of all instances. The 35 s are `commitMsMax` of the code. They are no parameter, because releases from before the failover
-- migration call this function with these nine. The bound is text in one fixed form, because the caller hands it back as it is, and
-- sessions differ in how they print a time.
--
-- Called by: src/log/write/look.ts.
-- Returns: rows of two kinds, the claims first. A `claim` is an attempt that was started: the columns up to lease_ends_at (see
-- `claim`). A `timer` is for one status that the lane waits for, the columns from status on: in how many milliseconds its
-- earliest row is due, by the database's clock (0 or less: now; null: nothing waits), the bound for the next look, and the last
-- position of the log, by which the caller notices a log that was put back. The columns of the other kind are null.
create or replace function look(
  in_status text,
  in_actor text,
  in_room int,
  in_bytes_max bigint,
  in_lease_ms bigint,
  in_statuses text[],
  in_look_from timestamptz[],
  in_reconnected_at timestamptz,
  in_grace_ms bigint
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
  earliest timestamptz;
begin
  return query
    select 'claim', c.message_id, c.attempt, c.retry_count, c.transaction_id, c.payload, c.traceparent, c.age_ms,
      c.lease_ends_at, null::text, null::double precision, null::text, null::bigint
    from claim(in_status, in_actor, in_room, in_bytes_max, in_lease_ms, in_look_from[1]) c;
  for nth in 1 .. cardinality(in_statuses) loop
    select s.due_at into earliest from message_states s
      where s.status = in_statuses[nth] and s.due_at is not null and s.due_at >= in_look_from[nth]
      order by s.due_at limit 1;
    looked_at := clock_timestamp();
    return query select 'timer', null::bigint, null::int, null::int, null::text, null::bytea, null::text,
      null::double precision, null::bigint, in_statuses[nth],
      extract(epoch from case in_statuses[nth] when 'processing' then lease_ends_at(earliest, in_reconnected_at, in_grace_ms)
        else earliest end - looked_at)::double precision * 1000,
      to_char(least(earliest, looked_at + (case in_statuses[nth] when 'processing'
        then coalesce((select min(lease_ms) from instances), 0) else 0 end - 35000) * interval '1 millisecond')
        at time zone 'UTC',
        'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      last_position();
  end loop;
end
$$;
