import type { Pool } from 'pg'
import { rfc3339 } from '../rfc3339.ts'
import { countMeasures, type CountMeasure, type Minutes } from './measures.ts'

/** The counts of one bucket, which begins at `at` (RFC 3339). They are decimal digits; a measure that is missing is 0. */
export type Bucket = { readonly at: string; readonly counts: Readonly<Partial<Record<CountMeasure, string>>> }

const statement = {
  name: 'read_throughput',
  text: `select ${rfc3339('b.at')} as at,
      coalesce(jsonb_object_agg(s.measure, s.n::text) filter (where s.measure is not null), '{}') as counts
    from generate_series($1::timestamptz, $2::timestamptz, $3 * interval '1 second') as b (at)
    left join (
      select date_bin($3 * interval '1 second', r.minute, $1::timestamptz) as at, r.measure, sum(r.n) as n
      from read_rollups($1, $2, $4) r
      group by 1, 2
    ) s on s.at = b.at
    group by b.at
    order by b.at`,
}

/**
 * Reads what happened in each bucket of these minutes. The first bucket begins with the first minute; the last one may be shorter.
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
