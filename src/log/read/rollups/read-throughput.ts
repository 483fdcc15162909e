import type { Pool } from 'pg'
import { rfc3339 } from '../rfc3339.ts'
import { countMeasures, type CountMeasure, type Minutes } from './measures.ts'

/**
 * The counts of one bucket, which begins at `at` (RFC 3339) and is `seconds` long. They are decimal digits; a measure that is
 * missing is 0.
 */
export type Bucket = {
  readonly at: string
  readonly seconds: number
  readonly counts: Readonly<Partial<Record<CountMeasure, string>>>
}

// The range and the length of a bucket are rounded by the bounds that are in the same snapshot as the rows.
const statement = {
  name: 'read_throughput',
  text: `with range as (
      select aged_minute($1, b.hours_below, b.days_below) as first,
        aged_minute($2, b.hours_below, b.days_below) + aged_interval($2, b.hours_below, b.days_below) as until,
        make_interval(secs => ceil($3 / r.seconds) * r.seconds) as length
      from aged_below() b
      cross join lateral (
        select extract(epoch from aged_interval($1, b.hours_below, b.days_below))::float8 as seconds
      ) r
    )
    select ${rfc3339('b.at')} as at, extract(epoch from least(r.length, r.until - b.at))::int as seconds,
      coalesce(jsonb_object_agg(s.measure, s.n::text) filter (where s.measure is not null), '{}') as counts
    from range r
    cross join lateral generate_series(r.first, $2::timestamptz, r.length) as b (at)
    left join (
      select date_bin(r.length, u.minute, r.first) as at, u.measure, sum(u.n) as n
      from read_rollups($1, $2, $4) u
      cross join range r
      group by 1, 2
    ) s on s.at = b.at
    group by b.at, r.length, r.until
    order by b.at`,
}

/**
 * Reads what happened in each bucket of these minutes. The first bucket begins with the first minute; the last one may be shorter.
 * Where the rollups are kept by the hour or the day, edges and buckets are rounded outwards to whole ones. What the first minute
 * has holds for all buckets, as it is the oldest.
 *
 * @param bucketSeconds the length of a bucket, a whole number of minutes
 */
export async function readThroughput(
  database: Pick<Pool, 'query'>,
  { first, last }: Minutes,
  bucketSeconds: number,
): Promise<Bucket[]> {
  const { rows } = await database.query<Bucket>({
    ...statement,
    values: [first, last, bucketSeconds, countMeasures],
  })
  return rows
}
