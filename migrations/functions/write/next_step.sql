-- Says what is done next about a message that is due, and of which an attempt was once unknown.
--
-- Where the processor can be asked (`in_inquires`), it is asked about a message in doubt before that is sent again, until it says twice
-- that it does not know the payment. Past the window of the key (an attempt would end later than `in_key_window_ms` after the first one
-- that may have been sent) that proves nothing any more: it is asked once more then, and as long as it says that the payment is in
-- progress.
--
-- Called by: claim, end_forgotten.
-- Returns: `attempt`, `inquire`, or `forget`: it is not sent again by itself.
create or replace function next_step(
  in_message_id bigint,
  in_at timestamptz,
  in_lease_ms bigint,
  in_key_window_ms bigint,
  in_inquires boolean
) returns text
language plpgsql stable
set search_path = public, pg_temp
as $$
declare
  doubt record;
  too_late_at timestamptz;
begin
  select * into doubt from doubt_of(in_message_id);
  if not found then
    return 'attempt';
  end if;
  too_late_at := doubt.first_at + (in_key_window_ms - in_lease_ms) * interval '1 millisecond';
  if in_inquires and doubt.not_founds < 2 and (doubt.inquiry = 'in_progress' or coalesce(doubt.inquired_at <= too_late_at, true)) then
    return 'inquire';
  end if;
  return case when in_at > too_late_at then 'forget' else 'attempt' end;
end
$$;
