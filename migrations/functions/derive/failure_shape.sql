-- Takes the numbers out of a failure's reason where that is cheap and sure: a reason and its shape have the same failure_pattern. Where many
-- reasons differ in their numbers alone, the pattern of each shape is made in place of each reason's: 2 µs a reason in place of 10.
--
-- What failure_pattern keeps of digits, it keeps too: the status after `HTTP `, and all words of a reason with a `_`, of which some are
-- constants.
--
-- Called by: src/log/write/plan-replay.ts. It is inlined there.
-- Returns: the shape, which is the reason itself where it is not sure; null for null.
create or replace function failure_shape(in_reason text) returns text
language sql immutable parallel safe
as $$
  select case
    when strpos(in_reason, '_') > 0 or strpos(substr(in_reason, 2), 'HTTP ') > 0 then in_reason
    when not starts_with(in_reason, 'HTTP ') then regexp_replace(in_reason, '[0-9]+', '0', 'g')
    -- A status has three digits. A longer number is left alone.
    when substr(in_reason, 9, 1) between '0' and '9' then in_reason
    else left(in_reason, 8) || regexp_replace(substr(in_reason, 9), '[0-9]+', '0', 'g')
  end
$$;
