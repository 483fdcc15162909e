-- Open dead letters are counted by cause from here on (count_letters). Those that are there already are counted once. Whoever appends
-- waits meanwhile, so that none is missed: about a second for each 200,000 dead letters.

lock table message_events in share mode;

insert into status_count_deltas (position, pending, processing, success, failed, dead_letter, minutes, measures, buckets, counts)
  select (select base from log_epochs order by epoch desc limit 1) + pg_current_xact_id()::text::bigint, 0, 0, 0, 0, 0, array_agg('-infinity'::timestamptz), array_agg('open_dead_letter_' || c.cause), array_agg(0),
    array_agg(c.n)
  from (
    select
      -- As dead_letter_cause says, which is made after this file. So is current_position, above.
      case l.type
        when 'rejected' then 'rejected_record'
        when 'conflict_received' then 'conflicting_record'
        when 'cancelled' then 'cancelled'
        else case
          when l.reason = 'refused' then 'refused'
          when l.reason like 'outcome unknown%' then 'outcome_unknown'
          else 'retries_exhausted'
        end
      end as cause,
      count(*) as n
    from message_states s
    cross join lateral (
      select d.type, d.reason from message_events d
      where d.message_id = s.message_id and d.status = 'dead_letter' and (d.type in ('dead_lettered', 'cancelled') or d.version = 1)
      order by d.version desc limit 1
    ) l
    where s.queue = 'dead_letter'
      and not exists (select from decided_messages r where r.message_id = s.message_id and r.resolution is not null)
    group by 1
  ) c
  having count(*) > 0;
