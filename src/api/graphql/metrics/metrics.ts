import { countByStatus } from '../../../log/read/count-by-status.ts'
import { countDecided } from '../../../log/read/count-decided.ts'
import { readHead } from '../../../log/read/read-head.ts'
import { countByRetries, countUnknown } from '../../../log/read/rollups/read-standing.ts'
import { ask } from '../../ask.ts'
import { builder } from '../builder.ts'
import { LogHead } from '../log-head.ts'
import { TimeRange } from '../time-range.ts'
import { PartitionState, resolvePartitions } from './consumer.ts'
import { DeadLetterCounts, RetryBucket, StatusCounts, UnknownCounts } from './counts.ts'
import { FailureReason, resolveFailures } from './failures.ts'
import { LaneLoad, listLanes, readWakeups, Wakeups } from './instance.ts'
import { Instance, resolveInstances } from './instances.ts'
import { KafkaState } from './kafka.ts'
import { Latency, resolveLatency } from './latency.ts'
import { takeSnapshot, type MetricsSnapshot } from './take-snapshot.ts'
import { resolveThroughput, ThroughputBucket } from './throughput.ts'

const description =
  "Counts and rates are the whole service's, read from the database; inFlight, wakeups and lag are this instance's and say so in their descriptions. A range wins over lastSeconds; edges widen to whole minutes, buckets are multiples of 60 s, zero-filled, at most 1,500. What is older than 35 days is kept by the hour, older than 400 days by the day (UTC): edges and buckets that reach there widen to whole hours or days."

/** Every field but `at` fails by itself: it is null then, and the error says why. */
export const Metrics = builder.objectRef<MetricsSnapshot>('Metrics').implement({
  description,
  fields: (t) => {
    const window = {
      range: t.arg({
        type: TimeRange,
        description: 'At most 31 days; wins over lastSeconds. Without to it ends now.',
      }),
      lastSeconds: t.arg.int({
        required: true,
        defaultValue: 3600,
        description: 'How far back from now, at most 31 days.',
      }),
    }
    return {
      at: t.expose('at', {
        type: 'DateTime',
        description: 'When they were asked for, by this instance’s clock.',
      }),
      counts: t.field({
        type: StatusCounts,
        nullable: true,
        description: 'Messages by status.',
        resolve: ({ read }) => read(countByStatus),
      }),
      deadLetters: t.field({
        type: DeadLetterCounts,
        nullable: true,
        description: 'Dead letters, open and resolved apart.',
        resolve: ({ read }) => read(countDecided),
      }),
      held: t.field({
        type: 'BigInt',
        nullable: true,
        description: 'Messages that an operator has put on hold. They are PENDING or FAILED.',
        resolve: async ({ read }) => String((await read(countDecided)).onHold),
      }),
      outcomeUnknown: t.field({
        type: UnknownCounts,
        nullable: true,
        description: 'Messages with an attempt whose outcome is unknown: it may have been carried out.',
        resolve: ({ read }) => read(countUnknown),
      }),
      throughput: t.field({
        type: [ThroughputBucket],
        nullable: true,
        description:
          'What happened in each bucket of the range, oldest first. The first begins with the range; the last may be shorter. If the range begins where hours or days are kept, each bucket is a multiple of those.',
        args: {
          ...window,
          bucketSeconds: t.arg.int({
            required: true,
            defaultValue: 60,
            description:
              'The length of a bucket: a multiple of 60. The answer may have longer ones: see seconds.',
          }),
        },
        resolve: (snapshot, args) => resolveThroughput(snapshot, args),
      }),
      latency: t.field({
        type: Latency,
        nullable: true,
        description:
          'Percentiles from fixed buckets; errorBound is the largest relative error they may have.',
        args: window,
        resolve: (snapshot, args) => resolveLatency(snapshot, args),
      }),
      retries: t.field({
        type: [RetryBucket],
        nullable: true,
        description: 'Messages by how many retries they needed, fewest first.',
        resolve: ({ read }) => read(countByRetries),
      }),
      topFailures: t.field({
        type: [FailureReason],
        nullable: true,
        description: 'Why attempts failed and records were rejected in the range, the most frequent first.',
        args: {
          ...window,
          first: t.arg.int({
            required: true,
            defaultValue: 10,
            description: 'How many reasons, at most 100.',
          }),
        },
        resolve: (snapshot, args) => resolveFailures(snapshot, args),
      }),
      oldestPendingAt: t.field({
        type: 'DateTime',
        nullable: true,
        description: 'Since when the message has waited that is PENDING longest; null if none is.',
        resolve: async ({ pulse }) => (await pulse()).oldestPendingAt,
      }),
      oldestDueAt: t.field({
        type: 'DateTime',
        nullable: true,
        description:
          'Since when the message is due that is longest overdue, or its lease ended; null if none waits.',
        resolve: async ({ pulse }) => (await pulse()).oldestDueAt,
      }),
      inFlight: t.field({
        type: [LaneLoad],
        nullable: true,
        description: "This instance's lanes.",
        resolve: ({ dependencies }) => listLanes(dependencies),
      }),
      consumer: t.field({
        type: [PartitionState],
        nullable: true,
        description: 'Every partition that was ever read; its lag is what this instance saw.',
        resolve: (snapshot) => resolvePartitions(snapshot),
      }),
      kafka: t.field({
        type: KafkaState,
        nullable: true,
        description: 'How this instance stands with Kafka, and who reads what.',
        resolve: ({ dependencies }) => ({ consumer: dependencies.health().consumer, dependencies }),
      }),
      instances: t.field({
        type: [Instance],
        nullable: true,
        description: 'The instances of the service that live, oldest first, and those that lately did.',
        resolve: ({ dependencies }) => resolveInstances(dependencies),
      }),
      wakeups: t.field({
        type: Wakeups,
        nullable: true,
        description: 'What made this instance look for due work, since it started.',
        resolve: ({ dependencies }) => readWakeups(dependencies),
      }),
      watermark: t.field({
        type: LogHead,
        nullable: true,
        description: 'Where the readable log ends, and what holds it there.',
        resolve: ({ dependencies }) => ask(dependencies.database, readHead),
      }),
    }
  },
})

builder.queryField('metrics', (t) =>
  t.field({
    type: Metrics,
    nullable: true,
    description: 'How the service is doing. Cheap enough to be asked every second.',
    resolve: (_, __, { dependencies }) => takeSnapshot(dependencies),
  }),
)
