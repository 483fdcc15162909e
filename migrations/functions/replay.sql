-- Opens a dead letter again, on an operator's word. Answers `replayed` (version: of its event), `repeated` (this actor's
-- request of this key was accepted before), `key_reused` (with another reason), `unknown`, or `not_replayable` (with its status).
create or replace function replay(in_transaction_id text, in_actor text, in_reason text, in_request_key text)
returns table (answer text, version int, status text)
language plpgsql volatile security definer
set search_path = public, pg_temp
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  held message_states;
  first_type text;
  accepted message_events;
begin
  select s.* into held from inbox i
    join message_states s on s.message_id = i.message_id
    where i.transaction_id = in_transaction_id collate "C"
    for no key update of s;
  if not found then
    return query select 'unknown', null::int, null::text;
    return;
  end if;
  if in_request_key is not null then
    select * into accepted from message_events e
      where e.message_id = held.message_id and e.type = 'replayed' and e.actor = in_actor and e.request_key = in_request_key;
    if found then
      return query select case when accepted.reason = in_reason then 'repeated' else 'key_reused' end, accepted.version,
        held.status;
      return;
    end if;
  end if;
  select e.type into first_type from message_events e where e.message_id = held.message_id and e.version = 1;
  if held.status <> 'dead_letter' or first_type <> 'received' then
    return query select 'not_replayable', held.version, held.status;
    return;
  end if;
  insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, due_at, reason,
      request_key)
    select held.message_id, held.version + 1, greatest(current_position(), held.position), t.replayed_at, 'replayed', in_actor,
      'pending', 0, t.replayed_at, in_reason, in_request_key
    from (select greatest(clock_timestamp(), held.recorded_at) as replayed_at) t;
  return query select 'replayed', held.version + 1, 'pending'::text;
end
$$;
