-- One piece of fold_piece, for the release before it, which may run beside this one.
create or replace function fold_counts(rows_min int default 1) returns void
language plpgsql volatile security definer
set search_path = public, pg_temp
as $$
begin
  perform fold_piece(rows_min);
end
$$;
