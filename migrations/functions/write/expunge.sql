-- Expunges messages for good, on an operator's request: key, headers, traceparent and bytes of all their records go; the log, the
-- hashes and the sizes stay. A record that conflicts with one of them is a message of its own and stays as it is.
--
-- Called by: src/log/write/expunge.ts.
-- Returns: one row for each id, at its `place`:
--   expunged  the bytes are gone; `version` is of the event
--   already   they were gone before; `version` is of the event that did it
--   open      the message is not a success or a dead letter: an attempt is open or may follow, and needs the bytes
--   unknown   there is no such message
-- An id that is named twice is expunged once. The second one is answered as if it had been asked for after the first.
create or replace function expunge(in_transaction_ids text[], in_actor text, in_reason text)
returns table (place bigint, answer text, version int, status text)
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
  targets bigint[];
begin
  if coalesce(btrim(in_actor), '') = '' or coalesce(btrim(in_reason), '') = '' then
    raise exception 'to expunge takes an actor and a reason' using errcode = 'invalid_parameter_value';
  end if;
  ids := array(
    select i.message_id
    from unnest(in_transaction_ids) with ordinality as u (transaction_id, place)
    left join lateral (
      select b.message_id from inbox b where b.transaction_id = u.transaction_id collate "C" limit 1
    ) i on true
    order by u.place
  );
  -- In the order of message ids, as everywhere. A replay takes the same lock, so that of the two only the first one is done.
  perform from message_states s where s.message_id = any (ids) order by s.message_id for no key update;
  -- A statement of its own, because it sees what the other request did that the one above waited for.
  targets := array(
    select s.message_id from message_states s
    where s.message_id = any (ids) and s.status in ('success', 'dead_letter')
      and not exists (select from message_events e where e.message_id = s.message_id and e.type = 'expunged')
  );
  perform append_expunged(targets, in_actor, in_reason);
  return query
  select u.place,
    case
      when m.version is null then 'unknown'
      when x.version is null then 'open'
      when u.message_id = any (targets) and row_number() over (partition by u.message_id order by u.place) = 1 then 'expunged'
      else 'already'
    end,
    coalesce(x.version, m.version), m.status
  from unnest(ids) with ordinality as u (message_id, place)
  left join lateral (
    select s.version, s.status from message_states s where s.message_id = u.message_id limit 1
  ) m on true
  left join lateral (
    select e.version from message_events e where e.message_id = u.message_id and e.type = 'expunged' limit 1
  ) x on true
  order by u.place;
end
$$;
