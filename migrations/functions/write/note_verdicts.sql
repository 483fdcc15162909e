-- Counts what a batch of outcomes says of the destination, and ends the probe that is in it. A verdict is one of
--   success  the payment was accepted
--   refusal  the payment was refused
--   other    an answer that asks for another attempt and shows that the destination works
--   failure  speaks of the destination: no answer, a fault of its own, or one that refuses us
--   none     nothing was sent, or too late to tell
--
-- Called by: settle_attempts, as its last statement, because every batch locks the same row. The arrays lie side by side, in the order in
-- which the attempts ended; a null in_verdicts says that all succeeded.
create or replace function note_verdicts(
  in_destination text,
  in_message_ids bigint[],
  in_attempts int[],
  in_verdicts text[],
  in_reasons text[]
) returns void
language plpgsql volatile
set search_path = public, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  noted_at timestamptz := clock_timestamp();
  -- The longest wait between two probes.
  wait_ms_max constant bigint := 60000;
  -- After a probe that was answered, the next one follows soon.
  wait_ms_min constant bigint := 1000;
  place destinations;
  counted record;
  verdict text;
  shows_life boolean;
begin
  select
      max(v.place) filter (where v.verdict in ('success', 'refusal', 'other')) is not null as resets_failures,
      count(*) filter (where v.verdict = 'failure' and v.place > v.last_answer)::int as failures,
      max(v.place) filter (where v.verdict = 'success') is not null as resets_refusals,
      count(*) filter (where v.verdict = 'refusal' and v.place > v.last_success)::int as refusals,
      (array_agg(v.reason order by v.place desc) filter (where v.verdict in ('failure', 'refusal')))[1] as last_reason
    into counted
    from (
      select u.*,
        coalesce(max(u.place) filter (where u.verdict in ('success', 'refusal', 'other')) over (), 0) as last_answer,
        coalesce(max(u.place) filter (where u.verdict = 'success') over (), 0) as last_success
      from unnest(coalesce(in_verdicts, array['success']), in_reasons) with ordinality as u(verdict, reason, place)
    ) v;
  update destinations d set
    failures = counted.failures + case when counted.resets_failures then 0 else d.failures end,
    refusals = counted.refusals + case when counted.resets_refusals then 0 else d.refusals end,
    last_reason = coalesce(counted.last_reason, d.last_reason),
    is_answered = d.is_answered or d.state = 'ramping' and counted.resets_failures
  where d.destination = in_destination and d.state in ('flowing', 'ramping')
    and (counted.failures > 0 or counted.refusals > 0 or counted.resets_failures and d.failures > 0
      or counted.resets_refusals and d.refusals > 0 or d.state = 'ramping' and counted.resets_failures and not d.is_answered);

  select * into place from destinations d
    where d.destination = in_destination and d.state = 'held' and d.probe_message_id = any (in_message_ids)
    for no key update;
  if not found then
    return;
  end if;
  select case when in_verdicts is null then 'success' else u.verdict end into verdict
    from unnest(in_message_ids, in_attempts, in_verdicts) as u(message_id, attempt, verdict)
    where u.message_id = place.probe_message_id and u.attempt is not distinct from place.probe_attempt;
  if not found then
    return;
  end if;
  -- After refusals only an accepted payment shows that the destination works.
  shows_life := verdict = 'success' or verdict in ('refusal', 'other') and place.cause = 'failures';
  update destinations d set
    probes = case when shows_life then d.probes + 1 when verdict = 'none' then d.probes else 0 end,
    probe_delay_ms = w.delay_ms,
    next_probe_at = noted_at + case when verdict = 'none' then 0 when shows_life then least(wait_ms_min, w.delay_ms) else w.delay_ms end
      * interval '1 millisecond',
    probe_message_id = null,
    probe_attempt = null,
    probe_ends_at = null
  from (
    select case when shows_life or verdict = 'none' then place.probe_delay_ms
      else least(place.probe_delay_ms * 2, greatest(wait_ms_max, place.probe_delay_ms)) end as delay_ms
  ) w
  where d.destination = in_destination;
  perform pg_notify('destination_changed', in_destination);
end
$$;
