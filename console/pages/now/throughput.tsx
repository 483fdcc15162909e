import { useMemo } from 'preact/hooks'
import { formatRate } from '../../parts/format.ts'
import { Plot, type Line } from '../../parts/plot.tsx'
import type { NowMetrics } from './now.tsx'

type Bucket = NonNullable<NowMetrics['throughput']>[number]
type Measure = 'received' | 'succeeded' | 'failed' | 'deadLettered'

const measures: readonly (Omit<Line, 'values'> & { readonly of: Measure })[] = [
  { of: 'received', label: 'Received', colour: '--line-received' },
  { of: 'succeeded', label: 'Delivered', colour: '--line-delivered', dash: [8, 3] },
  { of: 'failed', label: 'Failed attempts', colour: '--line-failed', dash: [3, 3] },
  { of: 'deadLettered', label: 'Dead letters', colour: '--line-dead', dash: [10, 3, 2, 3] },
]

/** What came and went in the last hour, minute by minute; the last minute is the one that runs. */
export function Throughput({ now }: { now: NowMetrics }) {
  const { times, lines } = useMemo(() => drawLines(now), [now])
  return (
    <section aria-labelledby="throughput">
      <h2 id="throughput">The last hour</h2>
      <dl class="tiles">
        {measures.map(({ of, label }) => (
          <div key={of}>
            <dt>{label}</dt>
            <dd class="figure">{formatRate(rateNow(now, of))}</dd>
          </div>
        ))}
      </dl>
      <Plot label="Payments by the second over the last hour" times={times} lines={lines} />
    </section>
  )
}

function drawLines({ at, throughput }: NowMetrics) {
  const buckets = throughput ?? []
  return {
    times: buckets.map((bucket) => Date.parse(bucket.at) / 1_000),
    lines: measures.map(({ of, ...line }) => ({
      ...line,
      values: buckets.map((bucket) => Number(bucket[of]) / elapsedSeconds(at, bucket)),
    })),
  }
}

/** Over the last whole minute and what there is of this one: a shorter time would jump about. */
function rateNow({ at, throughput }: NowMetrics, of: Measure): number | null {
  const last = (throughput ?? []).slice(-2)
  if (last.length === 0) return null
  const seconds = last.reduce((sum, bucket) => sum + elapsedSeconds(at, bucket), 0)
  return last.reduce((sum, bucket) => sum + Number(bucket[of]), 0) / seconds
}

/** How much of the bucket is over; of the running one in its first seconds too little to divide by. */
function elapsedSeconds(at: string, bucket: Bucket): number {
  const elapsed = (Date.parse(at) - Date.parse(bucket.at)) / 1_000
  return Math.max(10, Math.min(bucket.seconds, elapsed))
}
