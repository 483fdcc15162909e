-- Starts an attempt for messages that are due, oldest first. It takes at most `in_room` messages and about `in_bytes_max` bytes of payload;
-- one message is always taken. `in_queue`, `in_is_slow` and `in_sure` say which messages, see lock_due.
--
-- What is done about a message in doubt in place of an attempt, says next_step: the processor is asked about it (`inquiry`), or it becomes a
-- dead letter (`forgotten`).
--
-- Called by: look_lane. Returns: one row for each attempt that was started (`kind` is `claim`). `age_ms` counts from when the message was
-- received, `lease_ends_at` is in microseconds since 1970. Before them come those of the other two kinds, with the last attempt and without
-- payload.
create or replace function claim(
  in_queue text,
  in_is_slow boolean,
  in_actor text,
  in_room int,
  in_bytes_max bigint,
  in_lease_ms bigint,
  in_claimed_at timestamptz,
  in_look_from timestamptz,
  in_key_window_ms bigint default null,
  in_inquires boolean default false,
  in_sure boolean default false
) returns table (kind text, message_id bigint, attempt int, retry_count int, transaction_id text, payload bytea, traceparent text,
  age_ms double precision, lease_ends_at bigint)
language plpgsql volatile security definer
set search_path = public, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
  due message_states[] := array(
    select d from lock_due(
      in_queue => in_queue,
      in_is_slow => in_is_slow,
      in_room => in_room,
      in_at => in_claimed_at,
      in_look_from => in_look_from,
      in_sure => in_sure) d);
  doubtful message_states[];
  forgotten message_states[];
begin
  -- Most looks find nothing. They skip the statement below and the trigger of the log, which fires for no rows too.
  if cardinality(due) = 0 then
    return;
  end if;
  if (in_key_window_ms is not null or in_inquires) and exists (select from unnest(due) d where d.outcome_unknown) then
    select coalesce(array_agg(d) filter (where n.step = 'attempt'), '{}'), array_agg(d) filter (where n.step = 'inquire'),
        array_agg(d) filter (where n.step = 'forget')
      into due, doubtful, forgotten
      from unnest(due) d
      cross join lateral (
        select case when d.outcome_unknown
            then next_step(d.message_id, greatest(in_claimed_at, d.recorded_at), in_lease_ms, in_key_window_ms, in_inquires)
          else 'attempt' end as step
      ) n;
    if forgotten is not null then
      return query select * from append_forgotten(forgotten, in_actor, in_claimed_at);
    end if;
    if doubtful is not null then
      return query select * from append_inquiries(doubtful, in_actor, in_claimed_at, in_lease_ms);
    end if;
    if cardinality(due) = 0 then
      return;
    end if;
  end if;
  return query
  with measured as (
    select d.*, r.payload, r.traceparent,
      sum(r.payload_bytes::bigint) over (order by d.due_at, d.message_id) - r.payload_bytes as bytes_before
    from unnest(due) d
    cross join lateral (
      select p.payload, p.payload_bytes, p.traceparent from records p
      where p.message_id = d.message_id and p.version = 1 limit 1
    ) r
  ),
  chosen as materialized (
    select m.*, greatest(in_claimed_at, m.recorded_at) + in_lease_ms * interval '1 millisecond' as lease_end
    from measured m where m.bytes_before < in_bytes_max
  ),
  started as (
    insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, attempt)
    select c.message_id, c.version + 1, greatest((select current_position()), c.position), greatest(in_claimed_at, c.recorded_at),
      'attempt_started', in_actor, 'processing', c.retry_count, c.lease_end, c.attempts + 1
    from chosen c
    order by c.message_id
  )
  select 'claim', c.message_id, c.attempts + 1, c.retry_count, c.transaction_id::text, c.payload, c.traceparent,
    (extract(epoch from in_claimed_at - c.created_at) * 1000)::double precision, lease_micros(c.lease_end)
  from chosen c
  order by c.due_at, c.message_id;
  perform refuse_unprojected();
end
$$;
