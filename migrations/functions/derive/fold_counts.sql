-- Does the same as `fold_piece`. An earlier release calls it by this name, and may run beside this one.
--
-- Called by: the release before this one; nothing in this release but tests.
-- Returns: nothing.
create or replace function fold_counts(in_rows_min int default 1) returns void
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
begin
  perform fold_piece(in_rows_min);
end
$$;
