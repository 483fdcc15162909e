-- Opens dead letters again for a release that knows no decisions about messages and runs beside this one. It has one answer for whatever
-- cannot be replayed.
--
-- Called by: the release before migration 0009. Parameters and answers are those of replay_messages, but for `on_hold`, `resolved` and
-- `expunged`, which are `not_replayable` here.
create or replace function replay(in_transaction_ids text[], in_actor text, in_reason text, in_request_key text)
returns table (place bigint, answer text, version int, status text)
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
begin
  return query
  select r.place, case when r.answer in ('on_hold', 'resolved', 'expunged') then 'not_replayable' else r.answer end, r.version,
    r.status
  from replay_messages(
    in_transaction_ids => in_transaction_ids,
    in_actor => in_actor,
    in_reason => in_reason,
    in_request_key => in_request_key) r;
end
$$;
