-- Folds the rollups from `in_bound` on into rows of `in_resolution`, up to `in_end` or as far as `in_piece_rows` allow. Each row is
-- added to the row at the beginning of its hour or day, which stays where it is.
--
-- Called by: age_rollups, which holds the lock and records the new bound.
-- Returns: how far it came, exclusive; always above `in_bound`. `in_bound` and `in_end` are multiples of `in_resolution`, or
-- -infinity.
create or replace function age_span(
  in_resolution interval, in_bound timestamptz, in_end timestamptz, in_piece_rows int
) returns timestamptz
language plpgsql volatile
set search_path = public, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
  reached timestamptz;
begin
  -- Up to the hour or day of the first row that is too many, but past the first one that has rows. The measures of the present
  -- have the minute -infinity and do not age.
  select least(
      in_end,
      (
        select greatest(date_bin(in_resolution, r.minute, 'epoch'), date_bin(in_resolution, f.minute, 'epoch') + in_resolution)
        from (
          select minute from rollups where minute >= in_bound and minute > '-infinity' and minute < in_end
          order by minute offset in_piece_rows limit 1
        ) r
        cross join (
          select minute from rollups where minute >= in_bound and minute > '-infinity' and minute < in_end order by minute limit 1
        ) f
      ),
      (
        select greatest(date_bin(in_resolution, r.minute, 'epoch'), date_bin(in_resolution, f.minute, 'epoch') + in_resolution)
        from (
          select minute from failure_rollups where minute >= in_bound and minute < in_end
          order by minute offset in_piece_rows limit 1
        ) r
        cross join (select minute from failure_rollups where minute >= in_bound and minute < in_end order by minute limit 1) f
      )
    ) into strict reached;
  with gone as (
    delete from rollups
    where minute >= in_bound and minute > '-infinity' and minute < reached and minute <> date_bin(in_resolution, minute, 'epoch')
    returning *
  )
  insert into rollups as r (minute, measure, bucket, n)
    select date_bin(in_resolution, g.minute, 'epoch'), g.measure, g.bucket,
      case when is_maximum(g.measure) then max(g.n) else sum(g.n) end
    from gone g
    group by 1, 2, 3
    order by 1, 2, 3
  on conflict (minute, measure, bucket) do update
    set n = case when is_maximum(r.measure) then greatest(r.n, excluded.n) else r.n + excluded.n end;
  with gone as (
    delete from failure_rollups
    where minute >= in_bound and minute < reached and minute <> date_bin(in_resolution, minute, 'epoch')
    returning *
  )
  insert into failure_rollups as r (minute, pattern, n, last_at, examples)
    select date_bin(in_resolution, g.minute, 'epoch'), g.pattern, sum(g.n), max(g.last_at), example_ids(g.examples)
    from gone g
    group by 1, 2
    order by 1, 2
  on conflict (minute, pattern) do update set
    n = r.n + excluded.n,
    last_at = greatest(r.last_at, excluded.last_at),
    examples = merge_examples(r.examples, excluded.examples);
  return reached;
end
$$;
