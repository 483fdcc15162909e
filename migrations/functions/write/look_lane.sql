-- Makes one look of a lane, in one round trip: it starts attempts for what is due, and says when to look next. While the destination
-- is paused it starts none, and while it is held at most one probe. If the destination has a pace, it starts no more than there are slots.
--
-- The bound for the next look (`next_look_from`) is the due time of the earliest waiting row. It is lower if a row that is not
-- committed yet may be due earlier: such a row was written at most 35 s ago, and a lease lasts at least as long as the shortest
-- lease of all instances. The 35 s are `commitMsMax` of the code. The bound is text in one fixed form, because the caller hands it
-- back as it is, and sessions differ in how they print a time.
--
-- Called by: src/log/write/look.ts. Of the attempts and inquiries that it starts, at most `in_slow_room` are of messages whose last attempt
-- was slow. Returns: rows of five kinds, the first three of them first. What a kind does not use is null.
--   claim        an attempt that was started: the columns up to is_slow (see the function claim)
--   inquiry      a message in doubt that the processor is to be asked about, in place of an attempt
--   forgotten    a message in doubt that became a dead letter, in place of an attempt
--   timer        for one status that the lane waits for, the columns from status on: in how many milliseconds its earliest row is due,
--                by the database's clock (0 or less: now; null: nothing waits, or waits for a notification only, while the destination is
--                held or paused, or for a slow attempt to end), the bound for the next look, and the last position of the log, by which
--                the caller notices a log that was put back
--   destination  its state in `status`, the number of its last decision in `attempt`, and in `due_in_ms` when a slot is free for what is
--                due, in milliseconds; null if all that is due has been started
create or replace function look_lane(
  in_status text,
  in_actor text,
  in_room int,
  in_slow_room int,
  in_bytes_max bigint,
  in_lease_ms bigint,
  in_statuses text[],
  in_look_from timestamptz[],
  in_reconnected_at timestamptz,
  in_grace_ms bigint,
  in_key_window_ms bigint default null,
  in_inquires boolean default false
) returns table (kind text, message_id bigint, attempt int, retry_count int, transaction_id text, payload bytea,
  traceparent text, age_ms double precision, lease_ends_at bigint, is_slow boolean, status text, due_in_ms double precision,
  next_look_from text, last_position bigint)
language plpgsql volatile security definer
set search_path = public, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  target destinations := enter_destination('default');
  claimed_at timestamptz := clock_timestamp();
  is_paced boolean := target.rate_limit is not null or target.throttled_at is not null;
  is_probe boolean := target.state = 'held' and in_room > 0 and begin_probe('default', in_status, in_inquires);
  -- Fresh messages are in one order. Of retries the slow ones come first, because they are bounded. They take half of the room at most,
  -- because there may be room for one at a time only.
  kinds boolean[] := case when in_status = 'failed' and not is_probe then array[true, false]
    -- A probe should be an attempt, so what is not in doubt goes first.
    when is_probe and in_inquires then array[null::boolean, null] else array[null::boolean] end;
  -- How the lane's other messages are found: false for retries, null for fresh messages and for a probe, which may be any.
  is_slow_apart boolean := case when in_status = 'failed' and not is_probe then false end;
  room int := case when is_probe then 1 when target.state in ('flowing', 'ramping') then in_room else 0 end;
  slow_room int := in_slow_room;
  -- The slots that the lane may take; null if there is no pace.
  slots int;
  first_at timestamptz;
  claimed record;
  -- How many attempts were started.
  started int := 0;
  -- How many inquiries were started.
  asked int := 0;
  -- When the destination may let through what it does not let through now.
  next_through timestamptz;
  slot_at timestamptz;
  looked_at timestamptz;
  earliest timestamptz;
  overdue timestamptz;
  due_at timestamptz;
  -- When the earliest message of the lane's own status that may start is due.
  waits_since timestamptz;
  -- What is not committed yet is due at least 35 s after this.
  unseen_from timestamptz;
begin
  if is_paced and room > 0 and (
    earliest_due(in_status, is_slow_apart, case when is_probe then '-infinity' else in_look_from[1] end) <= claimed_at
    or is_slow_apart is not null and slow_room > 0 and earliest_due(in_status, true, '-infinity') <= claimed_at
  ) then
    -- Other lanes wait here until this transaction has ended.
    select * into target from destinations d where d.destination = target.destination for no key update;
    claimed_at := clock_timestamp();
    select s.slots, s.first_at, s.free_at into slots, first_at, slot_at from share_slots(target, in_status, claimed_at) s;
    room := least(room, slots);
  elsif is_paced then
    -- What comes between these statements must not start without a slot.
    room := 0;
  end if;
  -- With room for one alone, the one that is due first goes first.
  if room = 1 and kinds[1] and earliest_due('failed', false, in_look_from[1]) <= earliest_due('failed', true, '-infinity') then
    kinds := array[false, true];
  end if;
  if is_probe and room > 0 and in_key_window_ms is not null then
    return query select f.kind, f.message_id, f.attempt, f.retry_count, f.transaction_id, null::bytea, null::text, null::double precision,
        null::bigint, false, null::text, null::double precision, null::text, null::bigint
      from end_forgotten(
        in_queue => in_status,
        in_actor => in_actor,
        in_at => claimed_at,
        in_lease_ms => in_lease_ms,
        in_key_window_ms => in_key_window_ms,
        in_inquires => in_inquires) f;
  end if;
  for nth in 1 .. cardinality(kinds) loop
    for claimed in
      select c.* from claim(
        in_queue => in_status,
        in_is_slow => kinds[nth],
        in_actor => in_actor,
        in_room => case when kinds[nth] then least(slow_room, (room + 1) / 2) else room - started - asked end,
        in_bytes_max => in_bytes_max,
        in_lease_ms => in_lease_ms,
        in_claimed_at => claimed_at,
        in_look_from => case when kinds[nth] or is_probe then '-infinity' else in_look_from[1] end,
        in_key_window_ms => in_key_window_ms,
        in_inquires => in_inquires,
        in_sure => is_probe and nth < cardinality(kinds)) c
    loop
      if claimed.kind = 'claim' then
        started := started + 1;
      elsif claimed.kind = 'inquiry' then
        asked := asked + 1;
      end if;
      if kinds[nth] and claimed.kind <> 'forgotten' then
        slow_room := slow_room - 1;
      end if;
      return query select claimed.kind, claimed.message_id, claimed.attempt, claimed.retry_count, claimed.transaction_id,
        claimed.payload, claimed.traceparent, claimed.age_ms, claimed.lease_ends_at, coalesce(kinds[nth], false), null::text,
        null::double precision, null::text, null::bigint;
    end loop;
    exit when started + asked >= room;
  end loop;
  if started + asked > 0 and slots is not null then
    perform take_slots(target, claimed_at, first_at, in_status, started + asked);
  end if;
  if started + asked > 0 and is_probe then
    -- An inquiry is a probe without an attempt.
    update destinations d set
      probe_message_id = claimed.message_id,
      probe_attempt = case when started > 0 then claimed.attempt end,
      probe_ends_at = clock_timestamp() + in_lease_ms * interval '1 millisecond'
    where d.destination = target.destination
    returning d.* into target;
  end if;
  next_through := case target.state
      when 'paused' then target.until
      when 'held' then least(clock_timestamp() + greatest(target.probe_delay_ms, 1000) * interval '1 millisecond',
        greatest(coalesce(target.probe_ends_at, target.next_probe_at),
          -- The message of the next probe may be the other lane's.
          case when target.next_probe_at <= clock_timestamp() then clock_timestamp() + interval '1 second' end))
      else case when started + asked = slots then slot_at end
    end;
  for nth in 1 .. cardinality(in_statuses) loop
    looked_at := clock_timestamp();
    if in_statuses[nth] = 'processing' then
      perform note_overdue(in_look_from[nth], looked_at);
      select min(o.lease_ends_at) into overdue from overdue_attempts o;
      select c.lease_ends_at into earliest from lease_checks c
        where c.lease_ends_at >= in_look_from[nth] order by c.lease_ends_at limit 1;
      -- Under load a lease ends every few milliseconds, nearly always of an attempt that has ended.
      due_at := lease_ends_at(
        least(overdue, case when earliest is not null then greatest(earliest, looked_at + interval '1 second') end),
        in_reconnected_at, in_grace_ms);
      unseen_from := looked_at + coalesce((select min(i.lease_ms) from instances i), 0) * interval '1 millisecond';
    else
      earliest := earliest_due(in_statuses[nth], is_slow_apart, in_look_from[nth]);
      looked_at := clock_timestamp();
      -- Nothing is due before the destination lets it through. Where only a notification can change that, there is no timer.
      waits_since := least(earliest, case when is_slow_apart is not null and slow_room > 0 then earliest_due('failed', true, '-infinity') end);
      due_at := case
        when waits_since is not null and (target.state in ('flowing', 'ramping') or next_through is not null)
          then greatest(next_through, waits_since)
      end;
      unseen_from := looked_at;
    end if;
    return query select 'timer', null::bigint, null::int, null::int, null::text, null::bytea, null::text,
      null::double precision, null::bigint, null::boolean, in_statuses[nth],
      extract(epoch from due_at - looked_at)::double precision * 1000,
      to_char(least(earliest, unseen_from - interval '35 seconds') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
      last_position();
  end loop;
  return query select 'destination', null::bigint, target.decision, null::int, null::text, null::bytea, null::text,
    null::double precision, null::bigint, null::boolean, target.state,
    case when waits_since <= clock_timestamp() and started + asked = slots then extract(epoch from slot_at - clock_timestamp())::double precision * 1000 end, null::text, null::bigint;
end
$$;
