import type { Batch, EachBatchPayload } from 'kafkajs'
import { partEndMarker } from './answer/end-marker.ts'
import type { FetchedRecord } from './answer/read-records.ts'

/** Tells Kafka the next offset of each of these partitions, for the present membership. */
export type Commit = (positions: ReadonlyMap<number, bigint>) => Promise<void>

/** What one answer of a broker has of a partition. */
export type FetchedBatch = {
  readonly topic: string
  readonly partition: number
  /** Where the fetch asked from. */
  readonly fetched: bigint
  /** The first record's offset, or where the batches that hold none begin; never below `fetched`. */
  readonly first: bigint
  /** Everything below it was in the answer. Behind the last record there may be control batches, aborted records and gaps of compaction. */
  readonly next: bigint
  readonly highWatermark: bigint
  readonly records: readonly FetchedRecord[]
  /** Whether it may still be handled: no seek is pending, and the session goes on. */
  isWanted(): boolean
  /** Has the session go on from this offset. */
  resolve(next: bigint): void
  /** Keeps the membership over work that takes long. Throws what kafkajs throws where the member has to join again. */
  heartbeat(): Promise<void>
  commit: Commit
}

export function toFetchedBatch(payload: EachBatchPayload): FetchedBatch {
  const { batch } = payload
  const { topic, partition } = batch
  const { records, answeredFrom } = partEndMarker(batch.messages)
  // kafkajs' types leave fetchedOffset out.
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
            partitions: [...positions].map(([each, next]) => ({ partition: each, offset: next.toString() })),
          },
        ],
      }),
  }
}
