-- Ends, in place of a probe, what is due and would not be sent: messages in doubt whose keys the processor may have forgotten. They need no
-- probe, and with one ended for each probe a night of them would keep the probes from the payments behind them.
--
-- It looks at the first `among` of the queue, so that one look stays short.
--
-- Called by: look_lane. `in_at` is when it looks; the rest is as in claim. The messages that it leaves stay locked until the transaction ends.
-- Returns: one row for each, as append_forgotten does.
create or replace function end_forgotten(
  in_queue text,
  in_actor text,
  in_at timestamptz,
  in_lease_ms bigint,
  in_key_window_ms bigint,
  in_inquires boolean
) returns table (kind text, message_id bigint, attempt int, retry_count int, transaction_id text, payload bytea, traceparent text,
  age_ms double precision, lease_ends_at bigint)
language plpgsql volatile
set search_path = public, pg_temp
set jit = off
as $$
#variable_conflict use_column
declare
  among constant int := 500;
  doubtful message_states[] := array(
    select d from lock_due(
      in_queue => in_queue,
      in_is_slow => null,
      in_room => among,
      in_at => in_at,
      in_look_from => '-infinity') d
    where d.outcome_unknown);
  forgotten message_states[];
begin
  -- A statement of its own, because it sees what was decided about them before they were locked, such as a replay that says that a payment was
  -- not carried out.
  select array_agg(d) into forgotten
    from unnest(doubtful) d
    where next_step(d.message_id, greatest(in_at, d.recorded_at), in_lease_ms, in_key_window_ms, in_inquires) = 'forget';
  if forgotten is not null then
    return query select * from append_forgotten(forgotten, in_actor, in_at);
  end if;
end
$$;
