import {
  errorBound,
  readLatency,
  type Percentiles as PercentilesRow,
} from '../../../log/read/rollups/read-latency.ts'
import { builder } from '../builder.ts'
import type { MetricsSnapshot } from './take-snapshot.ts'
import { readWindow, type Window } from './window.ts'

const Percentiles = builder.objectRef<PercentilesRow>('Percentiles').implement({
  description: 'Nearest-rank percentiles of durations; null where there were none.',
  fields: (t) => ({
    count: t.expose('count', { type: 'BigInt', description: 'How many durations they are of.' }),
    p50Ms: t.exposeFloat('p50Ms', { nullable: true, description: 'Half of them took no longer.' }),
    p90Ms: t.exposeFloat('p90Ms', { nullable: true, description: 'Nine in ten took no longer.' }),
    p99Ms: t.exposeFloat('p99Ms', { nullable: true, description: '99 in a hundred took no longer.' }),
    maxMs: t.exposeFloat('maxMs', { nullable: true, description: 'The longest, exactly.' }),
  }),
})

type LatencyRow = { endToEnd: PercentilesRow; attempt: PercentilesRow }

export const Latency = builder.objectRef<LatencyRow>('Latency').implement({
  description: 'How long it took, for what ended in the range.',
  fields: (t) => ({
    endToEnd: t.expose('endToEnd', {
      type: Percentiles,
      description: 'From received to SUCCESS, retries and replays included, once a message.',
    }),
    attempt: t.expose('attempt', {
      type: Percentiles,
      description:
        'One attempt from its start to its outcome, late and abandoned ones left out. The log keeps whole milliseconds.',
    }),
    errorBound: t.float({
      description: 'The largest relative error of a percentile between 0.1 ms and 33 days.',
      resolve: () => errorBound,
    }),
  }),
})

/** @throws BAD_USER_INPUT */
export async function resolveLatency(snapshot: MetricsSnapshot, window: Window): Promise<LatencyRow> {
  const minutes = await readWindow(snapshot, window)
  return snapshot.read((client) => readLatency(client, minutes))
}
