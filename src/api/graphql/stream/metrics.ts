import type { ApiDependencies } from '../../api-dependencies.ts'
import type { Tick } from '../../stream/tick.ts'
import { builder } from '../builder.ts'
import { Metrics } from '../metrics/metrics.ts'
import { takeSnapshot, type MetricsSnapshot } from '../metrics/take-snapshot.ts'
import { readBounded } from '../read-bounded.ts'

const everyMsBounds = [250, 60_000] as const

builder.subscriptionField('metrics', (t) =>
  t.field({
    type: Metrics,
    nullable: true,
    description: `Now, and then every so often: 250 to 60,000 ms. All who ask for the same interval are answered at the same moments, and
all who ask for the same fields then by one computation. Moments at which the subscriber is not done with the last one are left out.`,
    args: {
      everyMs: t.arg.int({
        required: true,
        defaultValue: 1_000,
        description: 'From one answer to the next, in milliseconds.',
      }),
    },
    subscribe: (_, { everyMs }, { streams, client }) =>
      streams.ticks(client, readBounded('everyMs', everyMs, ...everyMsBounds)),
    resolve: (tick, _, { dependencies }) => snapshotAt(tick, dependencies),
  }),
)

const snapshots = new WeakMap<Tick, MetricsSnapshot>()

/** One for all who are answered at this moment, whatever they select. */
function snapshotAt(tick: Tick, dependencies: ApiDependencies): MetricsSnapshot {
  const snapshot = snapshots.get(tick) ?? takeSnapshot(dependencies)
  snapshots.set(tick, snapshot)
  return snapshot
}
