-- Opens dead letters again, on an operator's request. Rejected and conflicting records cannot be opened, and neither can what was
-- expunged: there are no bytes to send.
--
-- The window of a key is as in claim: an attempt of the length of `in_lease_ms` must end within it. A confirmation is kept in the event
-- of a message in doubt, also while the window lasts: it may be over when the attempt starts.
--
-- Called by: src/log/write/replay.ts.
-- Returns: one row for each id, at its `place`:
--   replayed        the message is pending again; `version` is of this event
--   repeated        this actor's request with this key was accepted before; `version` is of that event
--   key_reused      this actor's request with this key was accepted with another reason
--   on_hold         the message is pending or failed and on hold: it has to be released
--   resolved        the dead letter is resolved: it has to be reopened first
--   key_window_passed  the dead letter may have been carried out, and the processor may have forgotten its key since `window_ended_at`: it
--                   is opened only if `in_confirmed` says that it was not carried out
--   expunged        the dead letter was expunged: there are no bytes to send
--   not_replayable  the message has another status, or can never be sent
--   unknown         there is no such message in the database; it may be archived
-- An id that is named twice is replayed once. The second one is answered as if it had been asked for after the first.
create or replace function replay_messages(
  in_transaction_ids text[],
  in_actor text,
  in_reason text,
  in_request_key text,
  in_confirmed boolean default false,
  in_key_window_ms bigint default null,
  in_lease_ms bigint default 0
) returns table (place bigint, answer text, version int, status text, window_ended_at timestamptz)
language plpgsql volatile security definer
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
  ids bigint[];
begin
  ids := array(
    select i.message_id
    from unnest(in_transaction_ids) with ordinality as u (transaction_id, place)
    left join lateral (
      select b.message_id from inbox b where b.transaction_id = u.transaction_id collate "C" limit 1
    ) i on true
    order by u.place
  );
  -- In the order of message ids, as everywhere, so that two requests never wait for each other in a circle.
  perform from message_states s where s.message_id = any (ids) order by s.message_id for no key update;
  -- A statement of its own, because it sees what the other request did that the one above waited for.
  return query
  with input as materialized (
    select u.place, u.message_id, m.version, m.status, m.position, m.recorded_at,
      m.status = 'dead_letter' and f.type = 'received' and x.version is null and d.message_id is null as is_replayable,
      w.ends_at as window_ended_at,
      in_confirmed and m.outcome_unknown and exists (select from doubt_of(u.message_id)) as is_in_doubt,
      case
        when d.resolution is not null then 'resolved'
        when d.message_id is not null then 'on_hold'
        when m.status = 'dead_letter' and f.type = 'received' and x.version is not null then 'expunged'
        else 'not_replayable'
      end as refusal,
      a.version as accepted_version, a.reason as accepted_reason,
      row_number() over (partition by u.message_id order by u.place) = 1 as is_first
    from unnest(ids) with ordinality as u (message_id, place)
    left join lateral (
      select s.version, s.status, s.position, s.recorded_at, s.outcome_unknown from message_states s where s.message_id = u.message_id limit 1
    ) m on true
    left join lateral (
      select e.type from message_events e where e.message_id = u.message_id and e.version = 1 limit 1
    ) f on true
    left join lateral (
      select e.version from message_events e where e.message_id = u.message_id and e.type = 'expunged' limit 1
    ) x on true
    left join lateral (
      select k.message_id, k.resolution from decided_messages k where k.message_id = u.message_id limit 1
    ) d on true
    left join lateral (
      select k.ends_at from key_window_ends_at(u.message_id, in_key_window_ms) as k (ends_at)
      where m.outcome_unknown and k.ends_at < clock_timestamp() + in_lease_ms * interval '1 millisecond'
    ) w on true
    left join lateral (
      select e.version, e.reason from message_events e
      where in_request_key is not null and e.message_id = u.message_id and e.type = 'replayed' and e.actor = in_actor
        and e.request_key = in_request_key
      limit 1
    ) a on true
  ),
  judged as materialized (
    select i.*, i.is_replayable and (in_confirmed or i.window_ended_at is null) as is_opened,
      case
        when i.version is null then 'unknown'
        when i.accepted_reason = in_reason then 'repeated'
        when i.accepted_version is not null then 'key_reused'
        when not i.is_replayable then i.refusal
        when i.window_ended_at is not null and not in_confirmed then 'key_window_passed'
        when i.is_first then 'replayed'
        when in_request_key is not null then 'repeated'
        else 'not_replayable'
      end as answer
    from input i
  ),
  appended as (
    insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, reason,
      request_key, confirmed_not_carried_out)
    select j.message_id, j.version + 1, greatest((select current_position()), j.position), t.replayed_at, 'replayed', in_actor,
      'pending', 0, t.replayed_at, in_reason, in_request_key,
      case when in_confirmed and j.is_in_doubt then true end
    from judged j
    cross join lateral (select greatest(clock_timestamp(), j.recorded_at) as replayed_at) t
    where j.answer = 'replayed'
    order by j.message_id
  )
  select j.place, j.answer,
    case when j.accepted_version is not null then j.accepted_version when j.is_opened then j.version + 1 else j.version end,
    case when j.accepted_version is null and j.is_opened then 'pending' else j.status end,
    case when j.answer = 'key_window_passed' then j.window_ended_at end
  from judged j
  order by j.place;
  perform refuse_unprojected();
end
$$;
