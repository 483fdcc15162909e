import type { RecordResult, Slice } from '../log/write/ingest.ts'
import type { Metrics } from '../metrics.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Partition } from './stop-fault.ts'

type Counts = Record<RecordResult | 'hole', number>

/** The result of one batch, for its log line: PostgreSQL accounts for [first, next). */
export type Tally = {
  readonly startedAt: number
  readonly first: bigint
  next: bigint
  readonly counts: Counts
}

export function startTally(first: bigint): Tally {
  return { startedAt: performance.now(), first, next: first, counts: noCounts() }
}

/**
 * Starts every result counter of a partition at 0. Prometheus sees no increase in a counter that first
 * appears with a value.
 */
export function beginCounts(metrics: Metrics, topic: string, partition: number): void {
  for (const result of Object.keys(noCounts())) metrics.records.inc({ topic, partition, result }, 0)
}

/** Counts a stored slice, in the metrics and in the batch's tally. */
export function count(
  { metrics, logger }: { metrics: Metrics; logger: Logger },
  slice: Slice,
  results: readonly RecordResult[],
  tally: Tally,
): void {
  const { topic, partition } = slice
  const counts = noCounts()
  for (const result of results) counts[result]++
  for (const hole of slice.holes) counts.hole += Number(hole.next - hole.first)
  for (const result of Object.keys(counts) as (keyof Counts)[]) {
    tally.counts[result] += counts[result]
    if (counts[result] > 0) metrics.records.inc({ topic, partition, result }, counts[result])
  }
  if (!logger.isLevelEnabled('debug')) return
  slice.records.forEach(({ offset, transactionId, rejection }, at) => {
    const result = results[at]
    logger.debug(
      { topic, partition, offset: Number(offset), transaction_id: transactionId, result, rejection },
      'record ingested',
    )
  })
}

/**
 * Writes a batch's only log line, once the commit to Kafka has ended. `committed` is about Kafka's offset;
 * PostgreSQL's is always committed when there is a line.
 *
 * @param ms how long it took to store the batch
 */
export function report(logger: Logger, of: Partition, tally: Tally, committed: boolean, ms: number): void {
  const { first, next, counts } = tally
  logger.info({ ...of, from: Number(first), next: Number(next), ...counts, committed, ms }, 'batch ingested')
}

function noCounts(): Counts {
  return { received: 0, duplicate: 0, conflict: 0, rejected: 0, skipped: 0, hole: 0 }
}
