/** One partition's part of a fetch answer, undecoded. */
export type FetchedPartition = {
  topic: string
  partition: number
  records: Buffer
  /** The record batches, as places in `records`; one cut off by the answer's size limit is left out. */
  batches: RecordBatchPlace[]
  /** The bytes of the topic's name with its length, and of everything between it and the records. */
  name: Buffer
  header: Buffer
}

/** The next offset is the first one behind the batch, as far as its header and its successor's tell. */
export type RecordBatchPlace = { start: number; end: number; firstOffset: bigint; nextOffset: bigint }

export type SplitAnswer = {
  partitions: FetchedPartition[]
  /** An answer of the same version with that one partition and these of its records. */
  build: (partition: FetchedPartition, records: Buffer) => Buffer
}

const abortedTransactionBytes = 16
// A batch begins with its first offset (int64) and the length of what follows (int32).
const batchPrefixBytes = 12
// From a batch's start to how far its last offset lies above its first (int32), in the format of Kafka 0.11 and later.
const lastOffsetDeltaAt = 23

/**
 * Splits a fetch answer of version 4 to 11 by partition, without looking into the records.
 *
 * Source: FetchResponse.json in Kafka's clients/src/main/resources/common/message.
 */
export function splitAnswer(raw: Buffer, version: number): SplitAnswer {
  // Throttle time; from version 7 on also the error code and the session's id.
  const topBytes = version >= 7 ? 10 : 4
  const partitions: FetchedPartition[] = []
  let at = topBytes
  const topics = raw.readInt32BE(at)
  at += 4
  for (let topic = 0; topic < topics; topic++) {
    const name = raw.subarray(at, at + 2 + raw.readInt16BE(at))
    at += name.length
    const count = raw.readInt32BE(at)
    at += 4
    for (let nth = 0; nth < count; nth++) {
      const header = raw.subarray(at, at + headerBytes(raw, at, version))
      at += header.length
      const length = Math.max(0, raw.readInt32BE(at))
      at += 4
      const records = raw.subarray(at, at + length)
      at += length
      partitions.push({
        topic: name.toString('utf8', 2),
        partition: header.readInt32BE(0),
        records,
        batches: splitRecords(records),
        name,
        header,
      })
    }
  }
  const build = (partition: FetchedPartition, records: Buffer): Buffer =>
    Buffer.concat([
      raw.subarray(0, topBytes),
      int32(1),
      partition.name,
      int32(1),
      partition.header,
      int32(records.length),
      records,
    ])
  return { partitions, build }
}

/** Partition, error code, high watermark, last stable offset, log start (5+), aborted transactions, preferred replica (11). */
function headerBytes(raw: Buffer, at: number, version: number): number {
  const fixed = version >= 5 ? 30 : 22
  const aborted = Math.max(0, raw.readInt32BE(at + fixed))
  return fixed + 4 + aborted * abortedTransactionBytes + (version >= 11 ? 4 : 0)
}

function splitRecords(records: Buffer): RecordBatchPlace[] {
  const batches: RecordBatchPlace[] = []
  let start = 0
  while (start + batchPrefixBytes <= records.length) {
    const end = start + batchPrefixBytes + records.readInt32BE(start + 8)
    if (end <= start || end > records.length) break
    const firstOffset = records.readBigInt64BE(start)
    const previous = batches.at(-1)
    // Of a batch that cannot be decoded nothing but this is sure: the next one begins behind it.
    if (previous !== undefined) previous.nextOffset = firstOffset
    batches.push({
      start,
      end,
      firstOffset,
      nextOffset: firstOffset + 1n + readLastDelta(records, start, end),
    })
    start = end
  }
  return batches
}

function readLastDelta(records: Buffer, start: number, end: number): bigint {
  if (start + lastOffsetDeltaAt + 4 > end) return 0n
  return BigInt(Math.max(0, records.readInt32BE(start + lastOffsetDeltaAt)))
}

function int32(value: number): Buffer {
  const buffer = Buffer.allocUnsafe(4)
  buffer.writeInt32BE(value)
  return buffer
}
