import { isControl, isTransactional, type BatchHeader } from './batch-header.ts'
import { readRecords } from './read-records.ts'
import type { AbortedTransaction } from './split-answer.ts'

const abortMarker = 0

/**
 * Tells which batches of a partition's answer hold no record to be read: the ends of transactions, and what belongs to an aborted
 * one. Batches are asked about in the order of their offsets.
 *
 * Own code, because kafkajs takes in one aborted transaction a record where several may begin before the first, expects them
 * in the order of their beginnings, and takes any record whose key is four zero bytes for the end of its transaction: it hands over
 * payments that were called off.
 *
 * Source: CompletedFetch in Kafka's clients/src/main/java/org/apache/kafka/clients/consumer/internals.
 */
export class AbortedTransactions {
  readonly #coming: AbortedTransaction[]
  readonly #open = new Set<bigint>()

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#coming = [...aborted].sort((one, other) => (one.firstOffset < other.firstOffset ? -1 : 1))
  }

  /**
   * @param records the batch's records as they are; a control batch's are never packed
   * @throws if a control batch cannot be read
   */
  skips(header: BatchHeader, records: Buffer): boolean {
    for (
      let [next] = this.#coming;
      next !== undefined && next.firstOffset <= header.last;
      [next] = this.#coming
    ) {
      this.#open.add(next.producerId)
      this.#coming.shift()
    }
    if (isControl(header)) {
      if (readMarker(header, records) === abortMarker) this.#open.delete(header.producerId)
      return true
    }
    return isTransactional(header) && this.#open.has(header.producerId)
  }
}

/** The type in a control record's key, behind its version: 0 is an abort, 1 a commit; others may come. */
function readMarker(header: BatchHeader, records: Buffer): number | null {
  const key = readRecords(records, header)[0]?.key
  return key && key.length >= 4 ? key.readInt16BE(2) : null
}
