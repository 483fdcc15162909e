import { isControl, isTransactional, type BatchHeader } from './batch-header.ts'
import { readRecords } from './read-records.ts'
import type { AbortedTransaction } from './split-answer.ts'

const abortMarker = 0

/**
 * Tells which batches of a partition's answer must be skipped: transaction ends, and records of aborted
 * transactions. Must be asked in the order of the batches' offsets.
 *
 * Own code, because kafkajs hands over payments of aborted transactions. It starts at most one aborted
 * transaction for each record, although several may begin before the first record. It expects them in the
 * order in which they began. And it takes every record whose key is four zero bytes for the end of its
 * transaction.
 *
 * Source: CompletedFetch in Kafka's clients/src/main/java/org/apache/kafka/clients/consumer/internals.
 */
export class AbortedTransactions {
  readonly #upcoming: AbortedTransaction[]
  readonly #open = new Set<bigint>()

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#upcoming = [...aborted].sort((one, other) => (one.firstOffset < other.firstOffset ? -1 : 1))
  }

  /**
   * @param records the batch's records, still packed; a control batch's are never packed
   * @throws if a control batch cannot be read
   */
  skips(header: BatchHeader, records: Buffer): boolean {
    for (
      let [next] = this.#upcoming;
      next !== undefined && next.firstOffset <= header.last;
      [next] = this.#upcoming
    ) {
      this.#open.add(next.producerId)
      this.#upcoming.shift()
    }
    if (isControl(header)) {
      if (readMarker(header, records) === abortMarker) this.#open.delete(header.producerId)
      return true
    }
    return isTransactional(header) && this.#open.has(header.producerId)
  }
}

/** The type in a control record's key, after the version: 0 is an abort, 1 a commit; Kafka may add others. */
function readMarker(header: BatchHeader, records: Buffer): number | null {
  const key = readRecords(records, header)[0]?.key
  return key && key.length >= 4 ? key.readInt16BE(2) : null
}
