-- Expunges, in one short transaction, messages that have been a success or a dead letter for longer than `in_retain_ms`.
--
-- It walks the log from where it was the last time, and looks at the messages of the next `in_events_max` events. What is a success
-- or a dead letter became so by an event; when the walk comes to this event, the message is expunged. If it was opened again
-- meanwhile, it ends by a later event, to which the walk comes later. So each event is looked at once, and none of the messages
-- has to be remembered, but for those that another session holds just now (`held_back`). The walk ends before the first event that
-- is not old enough. Of all instances one walks at a time.
--
-- Called by: src/log/write/expunge-aged.ts.
-- Returns: one row. `expunged` is how many messages were expunged, `held` how many wait because another session holds them, and `more`
-- whether older events wait.
create or replace function expunge_aged(in_retain_ms bigint, in_actor text, in_reason text, in_events_max bigint)
returns table (expunged int, held int, more boolean)
language plpgsql volatile security definer
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  aged_until timestamptz := clock_timestamp() - in_retain_ms * interval '1 millisecond';
  -- With so many held back, the walk waits until they are free.
  held_max constant int := 1000;
  walked payload_retention;
  walked_ids bigint[] := '{}';
  walked_events bigint := 0;
  candidates bigint[];
  locked bigint[];
  aged bigint[];
begin
  expunged := 0;
  held := 0;
  more := false;
  if in_retain_ms <= 0 then
    raise exception 'a retention of % ms' , in_retain_ms using errcode = 'invalid_parameter_value';
  end if;
  insert into payload_retention (position, message_id, version, held_back)
    select 0, 0, 0, '{}' where not exists (select from payload_retention)
    on conflict do nothing;
  select * into walked from payload_retention for no key update skip locked;
  if not found then
    return next;
    return;
  end if;
  if cardinality(walked.held_back) < held_max then
    with ahead as materialized (
      select (r.event).message_id, (r.event).version, (r.event).position, r.place,
        -- An event that is old enough may follow one that is not: another session's clock_timestamp() was earlier.
        bool_and((r.event).recorded_at <= aged_until) over (order by r.place) as is_aged
      from read_log(
        in_after_position => walked.position,
        in_after_message_id => walked.message_id,
        in_after_version => walked.version,
        in_before_position => 9223372036854775807,
        in_before_message_id => 0,
        in_before_version => 0,
        in_backwards => false,
        in_examined_max => in_events_max,
        in_rows_max => in_events_max,
        in_types => null,
        in_outcomes => null,
        in_actor => null,
        in_recorded_from => null,
        in_recorded_to => null) r
    )
    select count(*), coalesce(array_agg(distinct a.message_id), '{}'),
      (array_agg(a.position order by a.place desc))[1], (array_agg(a.message_id order by a.place desc))[1],
      (array_agg(a.version order by a.place desc))[1]
      into walked_events, walked_ids, walked.position, walked.message_id, walked.version
      from ahead a where a.is_aged;
    more := walked_events = in_events_max;
  end if;
  candidates := walked_ids || walked.held_back;
  -- In the order of message ids, as everywhere. Nothing is waited for: who holds a message may hold it for hours.
  locked := array(
    select l.message_id from (
      select s.message_id from message_states s
      where s.message_id = any (candidates) and s.status in ('success', 'dead_letter') and s.updated_at <= aged_until
      order by s.message_id for no key update skip locked
    ) l
  );
  -- A statement of its own, because it sees what was committed before the locks were taken.
  aged := array(
    select s.message_id from message_states s
    where s.message_id = any (candidates) and s.status in ('success', 'dead_letter') and s.updated_at <= aged_until
      and not exists (select from message_events e where e.message_id = s.message_id and e.type = 'expunged')
  );
  walked.held_back := array(select a.message_id from unnest(aged) as a(message_id) where a.message_id <> all (locked));
  aged := array(select a.message_id from unnest(aged) as a(message_id) where a.message_id = any (locked));
  perform append_expunged(aged, in_actor, in_reason);
  if walked_events > 0 then
    update payload_retention set position = walked.position, message_id = walked.message_id, version = walked.version,
      held_back = walked.held_back;
  else
    update payload_retention set held_back = walked.held_back where held_back <> walked.held_back;
  end if;
  expunged := cardinality(aged);
  held := cardinality(walked.held_back);
  return next;
end
$$;
