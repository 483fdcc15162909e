-- Abandons attempts for a release that knows no destinations and runs beside this one.
--
-- Called by: the release before migration 0007. Parameters are those of abandon_attempts.
-- Returns: for each attempt whether it was ended: `appended`, or `stale` if it was not.
create or replace function abandon(
  in_actor text,
  in_message_ids bigint[],
  in_attempts int[],
  in_leases timestamptz[],
  in_delays_ms bigint[],
  in_reconnected_at timestamptz,
  in_grace_ms bigint
) returns text[]
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
begin
  return array_replace(
    abandon_attempts(
      in_actor => in_actor,
      in_message_ids => in_message_ids,
      in_attempts => in_attempts,
      in_leases => in_leases,
      in_delays_ms => in_delays_ms,
      in_reconnected_at => in_reconnected_at,
      in_grace_ms => in_grace_ms,
      in_spared_delays_ms => spared_delays(in_actor, in_message_ids)),
    'spared', 'appended');
end
$$;
