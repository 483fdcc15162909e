import type { Pool } from 'pg'
import type { Minutes } from './measures.ts'

/** The number of durations, their percentiles and the longest, in milliseconds; null if there were none. */
export type Percentiles = {
  readonly count: string
  readonly p50Ms: number | null
  readonly p90Ms: number | null
  readonly p99Ms: number | null
  readonly maxMs: number | null
}

const growth = 2 ** (1 / 4)

/** The largest relative error of a percentile between 0.1 ms and 34 days; see the SQL function latency_bucket. */
export const errorBound = Math.ceil(((growth - 1) / (growth + 1)) * 1_000) / 1_000

const statement = {
  name: 'read_latency',
  text: `select r.measure, r.bucket, (case when is_maximum(r.measure) then max(r.n) else sum(r.n) end)::text as n
    from read_rollups($1, $2, array['end_to_end', 'end_to_end_max', 'attempt', 'attempt_max']) r
    group by r.measure, r.bucket
    having sum(r.n) > 0
    order by r.bucket`,
}

type Row = { measure: string; bucket: number; n: string }

/** Reads two durations that ended in these minutes: of messages from `received` to success, and of attempts that were answered. */
export async function readLatency(
  database: Pick<Pool, 'query'>,
  { first, last }: Minutes,
): Promise<{ endToEnd: Percentiles; attempt: Percentiles }> {
  const { rows } = await database.query<Row>({ ...statement, values: [first, last] })
  return { endToEnd: describe(rows, 'end_to_end'), attempt: describe(rows, 'attempt') }
}

function describe(rows: readonly Row[], measure: string): Percentiles {
  const buckets = rows.filter((row) => row.measure === measure)
  const longest = rows.find((row) => row.measure === `${measure}_max`)
  const maxMs = longest === undefined ? null : Number(longest.n) / 1_000
  const count = buckets.reduce((sum, { n }) => sum + BigInt(n), 0n)
  const percentile = (hundredths: bigint): number | null => {
    let rank = (count * hundredths + 99n) / 100n
    for (const { bucket, n } of buckets) {
      rank -= BigInt(n)
      if (rank <= 0n) return Math.min(middleOf(bucket), maxMs ?? Infinity)
    }
    return null
  }
  return {
    count: String(count),
    p50Ms: percentile(50n),
    p90Ms: percentile(90n),
    p99Ms: percentile(99n),
    maxMs,
  }
}

/** Returns the harmonic middle of a bucket in milliseconds: its relative error is the same at both ends. Bucket 0 begins at 0. */
function middleOf(bucket: number): number {
  if (bucket === 0) return 0
  const begin = 0.1 * growth ** (bucket - 1)
  const middle = (2 * begin * growth) / (1 + growth)
  return Number(middle.toPrecision(4))
}
