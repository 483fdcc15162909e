-- Keeps the three highest ids of two lists. So lists may be merged in any order, and more than once.
--
-- Called by: fold_failures, and the aggregate `example_ids` below (fold_failures, rebuild_failures, age_span).
-- Returns: at most three ids, the highest first. Its parameters have no `in_`: to rename them, the aggregate would have to be
-- dropped first.
create or replace function merge_examples(ids bigint[], others bigint[]) returns bigint[]
language sql immutable parallel safe
as $$
  select array(select distinct id from unnest(ids || others) as u(id) order by id desc limit 3)
$$;

create or replace aggregate example_ids(bigint[]) (sfunc = merge_examples, stype = bigint[], initcond = '{}');
