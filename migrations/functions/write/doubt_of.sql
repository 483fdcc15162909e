-- Says whether a message is in doubt, and what is known then.
--
-- It is in doubt if an attempt of it may have been carried out: since the processor accepted or refused it last, or an operator
-- confirmed that it was not carried out, an attempt ended unknown or was abandoned. What else came meanwhile, such as a 503, says nothing of
-- that attempt. A late failure says nothing either; but one of an attempt that is not in this log tells of an attempt.
--
-- Called by: key_window_ends_at, next_step, record_inquiry, replay_messages. Returns: no row if it is not in doubt. `first_at`: when its
-- first attempt started that may have been sent: what surely was not has taught the processor no key. `not_founds`: how many inquiries in a
-- row were answered that there is no such payment, the last one among them, since it is in doubt; `inquiry` and `inquired_at` are of the
-- last one. A replay begins both anew.
create or replace function doubt_of(in_message_id bigint)
returns table (first_at timestamptz, not_founds int, inquiry text, inquired_at timestamptz)
language plpgsql stable
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
as $$
#variable_conflict use_column
begin
  return query
  with unsent as (
    select e.attempt from message_events e
    where e.message_id = in_message_id and e.type = 'attempt_failed' and e.outcome = 'not_sent'
  ),
  bound as (
    select min(e.recorded_at) filter (where e.type = 'late_result_observed'
        or e.type = 'attempt_started' and e.attempt not in (select u.attempt from unsent u)) as first_at,
      coalesce(max(e.version) filter (where e.outcome = 'unknown' and (e.type <> 'late_result_observed' or e.attempt is null)), 0) as doubt,
      coalesce(max(e.version) filter (where e.outcome = 'accepted' or e.outcome = 'refused' and e.type = 'attempt_failed'
        or e.inquiry = 'refused' or e.confirmed_not_carried_out), 0) as answer,
      coalesce(max(e.version) filter (where e.type = 'replayed'), 0) as replay
    from message_events e where e.message_id = in_message_id
  )
  select b.first_at, n.not_founds, l.inquiry, l.recorded_at
  from bound b
  left join lateral (
    select e.inquiry, e.recorded_at from message_events e
    where e.message_id = in_message_id and e.version > greatest(b.doubt, b.replay) and e.inquiry is not null
    order by e.version desc limit 1
  ) l on true
  cross join lateral (
    select count(*)::int as not_founds from message_events e
    where e.message_id = in_message_id and e.inquiry = 'not_found' and e.version > greatest(b.doubt, b.replay)
      and not exists (
        select from message_events o
        where o.message_id = in_message_id and o.version > e.version and o.inquiry is not null and o.inquiry <> 'not_found'
      )
  ) n
  where b.doubt > b.answer;
end
$$;
