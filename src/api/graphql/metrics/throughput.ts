import type { CountMeasure } from '../../../log/read/rollups/measures.ts'
import { readThroughput, type Bucket } from '../../../log/read/rollups/read-throughput.ts'
import { builder } from '../builder.ts'
import { refuse } from '../errors.ts'
import { readBounded } from '../read-bounded.ts'
import type { MetricsSnapshot } from './take-snapshot.ts'
import { readWindow, type Window } from './window.ts'

const bucketsMax = 1_500
const bucketSecondsMax = 31 * 86_400

const failures = ['refused', 'unavailable', 'not_sent', 'unknown'] as const

export const ThroughputBucket = builder.objectRef<Bucket>('ThroughputBucket').implement({
  description: 'failed counts failed attempts, of which refused, unavailable, notSent, unknown.',
  fields: (t) => {
    const count = (description: string, ...measures: CountMeasure[]) =>
      t.field({
        type: 'BigInt',
        description,
        resolve: ({ counts }) =>
          String(measures.reduce((sum, measure) => sum + BigInt(counts[measure] ?? 0), 0n)),
      })
    return {
      at: t.expose('at', { type: 'DateTime', description: 'Where the bucket begins.' }),
      seconds: t.exposeInt('seconds', { description: 'How long it is: divide by it for a rate.' }),
      received: count('Messages stored from Kafka.', 'received'),
      attempts: count('Attempts started.', 'attempts'),
      succeeded: count('Messages that became SUCCESS, by a late answer too.', 'succeeded'),
      failed: count('Attempts that failed; abandoned ones are not among them.', ...failures),
      deadLettered: count(
        'Messages that became dead letters. Rejected and conflicting records are not among them.',
        'dead_lettered',
      ),
      refused: count('Failed attempts that the processor refused for good.', 'refused'),
      unavailable: count('Failed attempts with a status that is retried.', 'unavailable'),
      notSent: count('Failed attempts of which no byte left.', 'not_sent'),
      unknown: count('Failed attempts that may have been carried out.', 'unknown'),
      abandoned: count('Attempts whose lease ended with no outcome, or that were superseded.', 'abandoned'),
      replayed: count('Dead letters that an operator opened again.', 'replayed'),
      duplicates: count('Records with a known id and the same bytes.', 'duplicates'),
      conflicts: count('Records with a known id and other bytes.', 'conflicts'),
      rejected: count('Records that cannot be read or have no identity.', 'rejected'),
    }
  },
})

/** @throws BAD_USER_INPUT */
export async function resolveThroughput(
  snapshot: MetricsSnapshot,
  { bucketSeconds, ...window }: Window & { bucketSeconds: number },
): Promise<Bucket[]> {
  readBounded('bucketSeconds', bucketSeconds, 60, bucketSecondsMax)
  if (bucketSeconds % 60 !== 0) throw refuse('BAD_USER_INPUT', 'bucketSeconds must be a multiple of 60.')
  const minutes = await readWindow(snapshot, window)
  const buckets = Math.ceil((minutes.count * 60) / bucketSeconds)
  if (buckets > bucketsMax) {
    const least = Math.ceil(minutes.count / bucketsMax) * 60
    const sentence = `That would be ${buckets} buckets, and at most ${bucketsMax} are answered: make bucketSeconds at least ${least}.`
    throw refuse('BAD_USER_INPUT', sentence)
  }
  return snapshot.read((client) => readThroughput(client, minutes, bucketSeconds))
}
