-- Settles for a release that knows no destinations and runs beside this one: its failures are spared and counted like others.
-- 401, 403 and 407 are refusals to it.
--
-- Called by: the release before migration 0007. Parameters and answers are those of settle_attempts.
create or replace function settle(
  in_actor text,
  in_message_ids bigint[],
  in_transaction_ids text[],
  in_attempts int[],
  in_leases timestamptz[],
  in_outcomes text[],
  in_status_codes int[],
  in_durations_ms int[],
  in_reasons text[],
  in_delays_ms bigint[]
) returns text[]
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
begin
  return settle_attempts(
    in_actor => in_actor,
    in_message_ids => in_message_ids,
    in_transaction_ids => in_transaction_ids,
    in_attempts => in_attempts,
    in_leases => in_leases,
    in_outcomes => in_outcomes,
    in_status_codes => in_status_codes,
    in_durations_ms => in_durations_ms,
    in_reasons => in_reasons,
    in_delays_ms => in_delays_ms,
    in_spared_delays_ms => spared_delays(in_actor, in_message_ids),
    in_verdicts => array(
      select case
          when u.outcome = 'accepted' then 'success'
          when u.outcome = 'refused' then 'refusal'
          when u.outcome = 'not_sent' and u.duration_ms is null then 'none'
          when u.outcome = 'unavailable' and u.status_code < 500 then 'other'
          else 'failure'
        end
      from unnest(in_outcomes, in_status_codes, in_durations_ms) with ordinality as u(outcome, status_code, duration_ms, place)
      order by u.place
    ));
end
$$;
