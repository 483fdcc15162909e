import type { Batch, EachBatchPayload } from 'kafkajs'
import { splitEndMarker } from './answer/end-marker.ts'
import type { FetchedRecord } from './answer/read-records.ts'
import { writeBegins, type Beginning } from './read-begun.ts'

/** What is committed to Kafka of a partition: its next offset, and where its log began, if that is known. */
export type Position = { readonly next: bigint; readonly begins: Beginning | null }

/** Commits these positions to Kafka, by partition, for the present membership. */
export type Commit = (positions: ReadonlyMap<number, Position>) => Promise<void>

/** What one broker answer holds of a partition. */
export type FetchedBatch = {
  readonly topic: string
  readonly partition: number
  /** The offset that the fetch asked from. */
  readonly fetched: bigint
  /**
   * The first record's offset, or, without records, the offset where the batches begin; never below
   * `fetched`.
   */
  readonly first: bigint
  /**
   * Everything below this offset was in the answer. After the last record there may be control batches,
   * aborted records and gaps that compaction left.
   */
  readonly next: bigint
  readonly highWatermark: bigint
  readonly records: readonly FetchedRecord[]
  /** Whether the batch may still be handled: no seek is pending, and the session continues. */
  isWanted(): boolean
  /** Tells the session to continue from this offset. */
  resolve(next: bigint): void
  /** Keeps the membership during long work. Throws what kafkajs throws when the member has to join again. */
  heartbeat(): Promise<void>
  commit: Commit
}

export function toFetchedBatch(payload: EachBatchPayload): FetchedBatch {
  const { batch } = payload
  const { topic, partition } = batch
  const { records, answeredFrom } = splitEndMarker(batch.messages)
  // kafkajs' types do not declare fetchedOffset.
  const fetched = BigInt((batch as Batch & { fetchedOffset: string }).fetchedOffset)
  const first = BigInt(records[0]?.offset ?? answeredFrom ?? fetched)
  return {
    topic,
    partition,
    fetched,
    first: first > fetched ? first : fetched,
    next: BigInt(batch.lastOffset()) + 1n,
    highWatermark: BigInt(batch.highWatermark),
    records,
    isWanted: () => payload.isRunning() && !payload.isStale(),
    resolve: (next) => payload.resolveOffset((next - 1n).toString()),
    heartbeat: () => payload.heartbeat(),
    commit: (positions) =>
      payload.commitOffsetsIfNecessary({
        topics: [
          {
            topic,
            // kafkajs' types do not declare metadata.
            partitions: [...positions].map(([each, { next, begins }]) => ({
              partition: each,
              offset: next.toString(),
              ...(begins !== null && { metadata: writeBegins(begins) }),
            })),
          },
        ],
      }),
  }
}
