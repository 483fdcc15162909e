import type { FetchedRecord } from '../kafka/answer/read-records.ts'
import type { FetchedBatch } from '../kafka/fetched-batch.ts'
import type { Slice } from '../log/write/ingest.ts'
import type { Metrics } from '../metrics.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { late, within } from '../runtime/within.ts'
import type { Tracing } from '../trace/tracing.ts'
import type { Assignment } from './assignment.ts'
import { cutSlices, type Cut } from './cut-slices.ts'
import { decode } from './decode.ts'
import type { Place } from './place.ts'
import { count, startTally, type Tally } from './report.ts'
import { store, type StoreAnswer, type StoreOptions } from './store.ts'
import { weigh } from './weigh.ts'

export type SliceOptions = StoreOptions & {
  readonly assignment: Assignment
  readonly maxRecordBytes: number
  readonly metrics: Metrics
  /** Null if traces are off. */
  readonly tracing: Tracing | null
}

// A slower commit is left to finish on its own, so that the other partitions and the heartbeat continue.
const slowMs = 5_000

/**
 * Stores a batch from `tally.first` on, one database transaction a slice, and tells the session after each
 * one. Ends early if the database fails or answers that the batch does not fit, or if the session no longer
 * wants the batch; the rest is then fetched again.
 *
 * @throws what the session's heartbeat throws
 */
export async function storeSlices(
  options: SliceOptions,
  batch: FetchedBatch,
  place: Place,
  tally: Tally,
): Promise<void> {
  options.assignment.noteFound(place)
  const bytesOf = (record: FetchedRecord): number => weigh(record, options.maxRecordBytes)
  for (const cut of cutSlices(batch.records, tally.first, batch.next, bytesOf)) {
    const startedAt = Date.now()
    const slice = decodeCut(cut, batch, place, options.maxRecordBytes)
    const answer = await storeInTime(options, place, slice, startedAt)
    if (answer?.kind === 'stored') options.tracing?.noteSlice(slice, answer.results, startedAt)
    if (answer === null || !applyAnswer(options, batch, place, slice, answer, tally)) return
    if (place.begins === null) await options.assignment.learnBegins(place)
    if (!batch.isWanted()) return
    await batch.heartbeat()
  }
}

function decodeCut(
  cut: Cut<FetchedRecord>,
  { topic, partition }: FetchedBatch,
  { incarnation, begins }: Place,
  maxRecordBytes: number,
): Slice {
  const records = cut.items.map((record) => decode(record, topic, partition, maxRecordBytes, incarnation))
  return {
    topic,
    partition,
    incarnation,
    first: cut.first,
    next: cut.next,
    records,
    holes: cut.holes,
    begins: begins?.offset ?? null,
  }
}

/** Null if the database failed or takes too long; the partition is then held. */
async function storeInTime(
  options: SliceOptions,
  place: Place,
  slice: Slice,
  startedAt: number,
): Promise<StoreAnswer | null> {
  const { assignment } = options
  const storing = store(options, slice)
  try {
    const answer = await within(storing, slowMs)
    if (answer !== late) return answer
    const counted = storing.then((stored) => {
      if (stored.kind !== 'stored') return
      count(options, slice, stored.results, startTally(slice.first))
      options.tracing?.noteSlice(slice, stored.results, startedAt)
    })
    // `hold` may not take it: the place was replaced, or the session has crashed.
    counted.catch(() => undefined)
    assignment.hold(place, `storing a slice takes over ${slowMs} ms`, counted)
  } catch (error) {
    assignment.hold(place, reasonOf(error))
  }
  return null
}

/** Applies the database's answer. Returns whether to continue with the batch. */
function applyAnswer(
  { assignment, metrics, logger }: SliceOptions,
  batch: FetchedBatch,
  place: Place,
  slice: Slice,
  answer: StoreAnswer,
  tally: Tally,
): boolean {
  const { topic, partition } = slice
  assignment.noteNext(place, answer.nextOffset)
  switch (answer.kind) {
    case 'ahead':
      assignment.sendBack(place)
      return false
    case 'ended':
      assignment.reposition([place])
      return false
    case 'stopped':
      assignment.halt(place, answer.reason)
      return false
    case 'stored': {
      const lag = batch.highWatermark - answer.nextOffset
      assignment.noteStored(place)
      tally.next = answer.nextOffset
      count({ metrics, logger }, slice, answer.results, tally)
      metrics.consumerLag.set({ topic, partition }, Math.max(0, Number(lag)))
      // After a join the session has new offsets, and this member may no longer hold the partition.
      if (!assignment.has(place)) return false
      batch.resolve(answer.nextOffset)
      return true
    }
  }
}
