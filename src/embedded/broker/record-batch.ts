import { crc32c } from '../../kafka/crc32c.ts'

/**
 * What the broker knows of a record batch: its header. The records after it, compressed or not, are never
 * opened.
 */
export interface RecordBatch {
  baseOffset: number
  byteLength: number
  recordCount: number
  maxTimestamp: number
  transactional: boolean
  producerId: number
  producerEpoch: number
  baseSequence: number
}

/** `short`: the end of the batch is missing. `foreign`: it has a format from before Kafka 0.11. */
export type ReadBatch = RecordBatch | 'short' | 'foreign' | 'damaged'

const at = {
  baseOffset: 0,
  length: 8,
  leaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  recordCount: 57,
} as const
const headerBytes = 61
const transactionalBit = 0x10

/** Reads the batch (format v2, "magic 2") at the start of `bytes`; the bytes after it are ignored. */
export function readBatch(bytes: Buffer): ReadBatch {
  if (bytes.length < headerBytes) return 'short'
  if (bytes.readInt8(at.magic) !== 2) return bytes.readInt8(at.magic) < 2 ? 'foreign' : 'damaged'
  // The length field counts the bytes after it.
  const byteLength = at.leaderEpoch + bytes.readInt32BE(at.length)
  if (byteLength < headerBytes) return 'damaged'
  if (byteLength > bytes.length) return 'short'
  const batch = bytes.subarray(0, byteLength)
  const recordCount = batch.readInt32BE(at.recordCount)
  // A producer numbers its records without gaps, so the record count moves the log's end.
  if (recordCount < 1 || batch.readInt32BE(at.lastOffsetDelta) !== recordCount - 1) return 'damaged'
  if (batch.readUInt32BE(at.crc) !== crc32c(batch, at.attributes)) return 'damaged'
  return {
    baseOffset: Number(batch.readBigInt64BE(at.baseOffset)),
    byteLength,
    recordCount,
    maxTimestamp: Number(batch.readBigInt64BE(at.maxTimestamp)),
    transactional: (batch.readInt16BE(at.attributes) & transactionalBit) !== 0,
    producerId: Number(batch.readBigInt64BE(at.producerId)),
    producerEpoch: batch.readInt16BE(at.producerEpoch),
    baseSequence: batch.readInt32BE(at.baseSequence),
  }
}

/**
 * Writes a batch's base offset and leader epoch. The CRC does not cover these two fields, so the rest stays
 * as it was sent.
 */
export function setBaseOffset(bytes: Buffer, baseOffset: number): void {
  bytes.writeBigInt64BE(BigInt(baseOffset), at.baseOffset)
  bytes.writeInt32BE(0, at.leaderEpoch)
}
