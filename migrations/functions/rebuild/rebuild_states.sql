-- Computes the states of the next `in_rows_max` messages above `in_above` from the log, and repairs what differs, while the
-- service runs.
--
-- An event and its projection are committed together. So in one snapshot only what is broken differs. Only broken states are
-- locked, and then looked at again in a following statement: locking every row would write every row.
--
-- Called by: src/log/write/rebuild.ts (`npm run rebuild`).
-- Returns: one row for each column that differed. `field` is null for a whole state: one that was missing (`was` null), or one
-- without an event (`became` null). Then one row with a null message_id: `reached` is the last message that was looked at, null
-- at the end.
create or replace function rebuild_states(in_above bigint, in_rows_max int)
returns table (message_id bigint, transaction_id text, field text, was text, became text, reached bigint)
language plpgsql volatile security definer
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  ids bigint[];
  broken bigint[];
begin
  ids := array(
    select k.message_id from (
      (select e.message_id from message_events e where e.message_id > in_above and e.version = 1 order by 1 limit in_rows_max)
      union
      (select s.message_id from message_states s where s.message_id > in_above order by 1 limit in_rows_max)
    ) k
    order by 1 limit in_rows_max
  );
  broken := array(
    select i.message_id
    from unnest(ids) as i(message_id)
    left join rebuild_fold(ids) f on f.message_id = i.message_id
    left join message_states s on s.message_id = i.message_id
    where f is distinct from s
  );
  if cardinality(broken) > 0 then
    perform from message_states s where s.message_id = any (broken) order by s.message_id for no key update;
    return query
    with different as materialized (
      select i.message_id, s as stored, f as folded
      from unnest(broken) as i(message_id)
      left join rebuild_fold(broken) f on f.message_id = i.message_id
      left join message_states s on s.message_id = i.message_id
      where f is distinct from s
    ),
    removed as (
      delete from message_states s using different d where s.message_id = d.message_id and (d.folded).message_id is null
    ),
    repaired as (
      insert into message_states as s
      select (d.folded).* from different d where (d.folded).message_id is not null
      on conflict (message_id) do update set (transaction_id, version, status, retry_count, attempts, due_at, lease_ends_at,
          queue, claimed_by, error_message, outcome_unknown, is_slow, position, created_at, updated_at, recorded_at, reference)
        = row (excluded.transaction_id, excluded.version, excluded.status, excluded.retry_count, excluded.attempts,
          excluded.due_at, excluded.lease_ends_at, excluded.queue, excluded.claimed_by, excluded.error_message, excluded.outcome_unknown, excluded.is_slow, excluded.position,
          excluded.created_at, excluded.updated_at, excluded.recorded_at, excluded.reference)
    )
    select d.message_id, coalesce((d.folded).transaction_id, (d.stored).transaction_id)::text, c.field, c.was, c.became,
      null::bigint
    from different d
    cross join lateral (
      select field, w.value as was, b.value as became
      from jsonb_each_text(to_jsonb(d.stored)) w (field, value)
      full join jsonb_each_text(to_jsonb(d.folded)) b (field, value) using (field)
      where (d.stored).message_id is not null and (d.folded).message_id is not null and w.value is distinct from b.value
      union all
      select null, (d.stored).status, (d.folded).status
      where (d.stored).message_id is null or (d.folded).message_id is null
    ) c
    order by d.message_id, c.field;
    -- A repaired message may be due.
    perform pg_notify('message_due', ''), pg_notify('message_events', '');
  end if;
  -- What is open is looked at when its lease has ended, also if `lease_checks` does not lead to it any more.
  insert into overdue_attempts (message_id, lease_ends_at)
    select s.message_id, s.lease_ends_at from message_states s
    where s.message_id = any (ids) and s.status = 'processing' and s.lease_ends_at is not null
    order by 1, 2
    on conflict do nothing;
  return query select null::bigint, null, null, null, null, ids[cardinality(ids)];
end
$$;
