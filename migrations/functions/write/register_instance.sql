-- Records which instance is about to write the log, and under which settings. Recording the same instance again changes nothing
-- (its COMMIT's answer may have been lost).
--
-- Called by: src/log/write/register-instance.ts.
-- Returns: the database's clock.
create or replace function register_instance(
  in_instance text, in_release text, in_fresh_max int, in_retry_max int, in_lease_ms bigint, in_timeout_ms bigint,
  in_retries_max int, in_base_delay_ms bigint, in_max_delay_ms bigint, in_key_window_ms bigint default null,
  in_inquiry_gap_ms bigint default null, in_destination_url text default null
) returns timestamptz
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
begin
  insert into instances (instance, release, fresh_max, retry_max, lease_ms, timeout_ms, retries_max, base_delay_ms,
      max_delay_ms, key_window_ms, inquiry_gap_ms, destination_url)
    values (in_instance, in_release, in_fresh_max, in_retry_max, in_lease_ms, in_timeout_ms, in_retries_max,
      in_base_delay_ms, in_max_delay_ms, in_key_window_ms, in_inquiry_gap_ms, in_destination_url)
    on conflict (instance) do nothing;
  return clock_timestamp();
end
$$;
