-- Keeps the outcome of an attempt that the log does not know, because a failover took the attempt out of it. The outcome is
-- evidence of what became of its payment. It moves into the payment's log at once if the payment is there, otherwise as soon as
-- Kafka has handed the payment over again. Keeping the same outcome again changes nothing.
--
-- Called by: src/log/write/keep-stray.ts.
-- Returns: true if the outcome is in the payment's log now.
create or replace function keep_stray(
  in_actor text,
  in_transaction_id text,
  in_payload_sha256 bytea,
  in_attempt int,
  in_lease_ends_at timestamptz,
  in_outcome text,
  in_status_code int,
  in_duration_ms int,
  in_reason text,
  in_reference text default null
) returns boolean
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
begin
  insert into stray_outcomes (actor, transaction_id, payload_sha256, attempt, lease_ends_at, outcome, status_code, duration_ms,
      reason, reference)
    values (in_actor, in_transaction_id, in_payload_sha256, in_attempt, in_lease_ends_at, in_outcome, in_status_code,
      in_duration_ms, in_reason, in_reference)
    on conflict do nothing;
  perform place_strays(in_transaction_id);
  return not exists (
    select from stray_outcomes s
    where s.transaction_id = in_transaction_id and s.attempt = in_attempt and s.lease_ends_at = in_lease_ends_at
      and s.actor = in_actor
  );
end
$$;
