-- The position of what the calling transaction writes. Assigns it a transaction id if it has none yet.
create or replace function current_position() returns bigint
language plpgsql volatile
set search_path = public, pg_temp
as $$
begin
  return pg_current_xact_id()::text::bigint + (select base from log_epochs order by epoch desc limit 1);
end
$$;
