-- Whether a measure of the rollups is the longest of its minute, of which the longer is taken, and no sum.
drop function if exists is_maximum;
create or replace function is_maximum(in_measure text) returns boolean
language sql immutable parallel safe
as $$
  select right(in_measure, 4) = '_max'
$$;
