import type { KafkaMessage } from 'kafkajs'
import type { FetchedRecord } from './read-records.ts'

/**
 * A marker after a partition's last record, in the batch that kafkajs gets. It is added if the broker's
 * batches reach further than that record: what follows are transaction ends, records of aborted transactions,
 * or gaps that compaction left. Without the marker kafkajs would continue at the last record and fetch the
 * same batch again, one offset further each time, and would never pass a batch that compaction has emptied.
 * This service would also not learn how far such a batch reaches.
 */
export type EndMarker = FetchedRecord & {
  /** The answer held everything from here up to the marker's own offset. */
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

/** Separates the records from the marker after them. */
export function splitEndMarker(messages: readonly KafkaMessage[]): {
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
