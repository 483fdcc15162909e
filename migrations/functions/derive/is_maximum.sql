-- Whether a measure of the rollups is the longest of its minute, of which the longer is taken, and no sum.
create or replace function is_maximum(measure text) returns boolean
language sql immutable parallel safe
as $$
  select right(measure, 4) = '_max'
$$;
