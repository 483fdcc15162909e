-- Finds in the log which of the next `in_rows_max` messages above `in_above` have a decision that stands, and repairs `decided_messages`
-- where it says something else, while the service runs. Only messages that differ are locked, and then looked at again.
--
-- Called by: src/log/write/rebuild.ts (`npm run rebuild`), before the rollups are counted.
-- Returns: one row for each message that differed; `was` or `became` is null where no decision stood or stands. Then one row with a null
-- message_id: `reached` is the last message that was looked at, null at the end.
create or replace function rebuild_decisions(in_above bigint, in_rows_max int)
returns table (message_id bigint, transaction_id text, was text, became text, reached bigint)
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
      (select d.message_id from decided_messages d where d.message_id > in_above order by 1 limit in_rows_max)
    ) k
    order by 1 limit in_rows_max
  );
  broken := array(
    select coalesce(d.message_id, n.message_id)
    from (select c.* from decided_messages c where c.message_id = any (ids)) d
    full join decisions_of(ids) n on n.message_id = d.message_id
    where d is distinct from n
  );
  if cardinality(broken) > 0 then
    perform from message_states s where s.message_id = any (broken) order by s.message_id for no key update;
    return query
    with different as materialized (
      select i.message_id, d.message_id as stored_id, n.message_id as found_id, n.version, n.resolution,
        case when d.message_id is not null then format('%s at version %s', coalesce(d.resolution, 'on hold'), d.version) end as was,
        case when n.message_id is not null then format('%s at version %s', coalesce(n.resolution, 'on hold'), n.version) end as became
      from unnest(broken) as i(message_id)
      left join decided_messages d on d.message_id = i.message_id
      left join decisions_of(broken) n on n.message_id = i.message_id
      where d is distinct from n
    ),
    removed as (
      delete from decided_messages d using different c where d.message_id = c.stored_id and c.found_id is null
    ),
    repaired as (
      insert into decided_messages as d (message_id, version, resolution)
      select c.found_id, c.version, c.resolution from different c where c.found_id is not null
      on conflict (message_id) do update set version = excluded.version, resolution = excluded.resolution
    )
    select c.message_id,
      (select e.transaction_id::text from message_events e where e.message_id = c.message_id and e.version = 1), c.was, c.became,
      null::bigint
    from different c
    order by c.message_id;
  end if;
  return query select null::bigint, null, null, null, ids[cardinality(ids)];
end
$$;
