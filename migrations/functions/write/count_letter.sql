-- Counts how often a letter stands in the results of `ingest`.
-- Called by: ingest.
-- Returns: the number; 0 if the letter is not there.
create or replace function count_letter(in_results text, in_letter text) returns int
language sql immutable strict parallel safe
as $$
  select length(in_results) - length(replace(in_results, in_letter, ''))
$$;
