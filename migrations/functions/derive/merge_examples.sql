-- The three highest ids of two lists. So it does not matter in which order, and how often, lists are merged.
create or replace function merge_examples(ids bigint[], others bigint[]) returns bigint[]
language sql immutable parallel safe
as $$
  select array(select distinct id from unnest(ids || others) as u(id) order by id desc limit 3)
$$;

create or replace aggregate example_ids(bigint[]) (sfunc = merge_examples, stype = bigint[], initcond = '{}');
