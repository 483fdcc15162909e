import type { KafkaMessage } from 'kafkajs'
import type { FetchedRecord } from './read-records.ts'

/**
 * Stands behind a partition's records in a batch of kafkajs' where the broker's batches reach further than the last of them: what
 * follows there are ends of transactions, records of aborted ones, or gaps of compaction. Without it kafkajs would go on at the
 * last record and fetch the same batch again, one offset further each time, and not at all past a batch that compaction has
 * emptied; and nobody would hear of what ends with such a batch.
 */
export type EndMarker = FetchedRecord & {
  /** Everything from here up to its own offset was in the answer. */
  readonly answeredFrom: bigint
}

export function createEndMarker(from: bigint, last: bigint): EndMarker {
  return {
    offset: last.toString(),
    timestamp: '-1',
    attributes: 0,
    key: null,
    value: null,
    answeredFrom: from,
  }
}

/** Parts the records from the marker behind them. */
export function partEndMarker(messages: readonly KafkaMessage[]): {
  records: readonly FetchedRecord[]
  answeredFrom: bigint | null
} {
  const last = messages.at(-1) as FetchedRecord | undefined
  return last !== undefined && isEndMarker(last)
    ? { records: messages.slice(0, -1), answeredFrom: last.answeredFrom }
    : { records: messages, answeredFrom: null }
}

function isEndMarker(record: FetchedRecord): record is EndMarker {
  return 'answeredFrom' in record
}
