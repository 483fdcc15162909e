-- One piece of fold_piece, for the release before it, which may run beside this one.
drop function if exists fold_counts;
create or replace function fold_counts(in_rows_min int default 1) returns void
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
begin
  perform fold_piece(in_rows_min);
end
$$;
