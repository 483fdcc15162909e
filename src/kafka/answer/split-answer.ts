/** One partition's part of a fetch answer, not yet decoded. */
export type FetchedPartition = {
  topic: string
  partition: number
  records: Buffer
  /** Aborted transactions whose records may be among these. */
  aborted: AbortedTransaction[]
  /** The bytes of the topic's name with its length, and of everything between the name and the records. */
  name: Buffer
  header: Buffer
}

export type AbortedTransaction = { producerId: bigint; firstOffset: bigint }

export type SplitAnswer = {
  partitions: FetchedPartition[]
  /** Builds an answer of the same version with these partitions, each with the records given for it. */
  build: (
    partitions: readonly FetchedPartition[],
    recordsOf: (partition: FetchedPartition) => Buffer,
  ) => Buffer
}

const abortedTransactionBytes = 16

/**
 * Splits a fetch answer of version 4 to 11 by partition, without looking into the records.
 *
 * Source: FetchResponse.json in Kafka's clients/src/main/resources/common/message.
 */
export function splitAnswer(raw: Buffer, version: number): SplitAnswer {
  // Throttle time; from version 7 on also the error code and the session id.
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
      const { header, aborted } = readHeader(raw, at, version)
      at += header.length
      const length = Math.max(0, raw.readInt32BE(at))
      at += 4
      const records = raw.subarray(at, at + length)
      at += length
      const partition = header.readInt32BE(0)
      partitions.push({ topic: name.toString('utf8', 2), partition, records, aborted, name, header })
    }
  }
  const build: SplitAnswer['build'] = (chosen, recordsOf) =>
    Buffer.concat([
      raw.subarray(0, topBytes),
      int32(chosen.length),
      ...chosen.flatMap((partition) => {
        const records = recordsOf(partition)
        return [partition.name, int32(1), partition.header, int32(records.length), records]
      }),
    ])
  return { partitions, build }
}

/** Partition, error code, high watermark, last stable offset, log start (5+), aborted transactions, preferred replica (11). */
function readHeader(
  raw: Buffer,
  start: number,
  version: number,
): { header: Buffer; aborted: AbortedTransaction[] } {
  const countAt = start + (version >= 5 ? 30 : 22)
  // -1 means null: the request did not ask for them.
  const count = Math.max(0, raw.readInt32BE(countAt))
  const end = countAt + 4 + count * abortedTransactionBytes
  if (end > raw.length) throw new Error('the answer ends too early')
  const aborted = Array.from({ length: count }, (_, nth) => {
    const at = countAt + 4 + nth * abortedTransactionBytes
    return { producerId: raw.readBigInt64BE(at), firstOffset: raw.readBigInt64BE(at + 8) }
  })
  return { header: raw.subarray(start, end + (version >= 11 ? 4 : 0)), aborted }
}

/**
 * Where a record batch is in a partition's records. `nextOffset` is the first offset after the batch, as far
 * as its own header and the next batch's header tell.
 */
export type BatchSpan = {
  start: number
  end: number
  firstOffset: bigint
  nextOffset: bigint
  magic: number
}

// A batch begins with its first offset (int64) and the length of the rest (int32). The format's number is at
// the same position in all formats.
const prefixBytes = 12
const magicAt = 16
// The last offset minus the first (int32), in the format of Kafka 0.11 and later.
const lastOffsetDeltaAt = 23

/** Finds the record batches. A batch that the answer's size limit cut off is left out. */
export function splitRecords(records: Buffer): BatchSpan[] {
  const spans: BatchSpan[] = []
  let start = 0
  while (start + magicAt < records.length) {
    const end = start + prefixBytes + records.readInt32BE(start + 8)
    if (end > records.length) break
    const firstOffset = records.readBigInt64BE(start)
    const previous = spans.at(-1)
    // One fact is certain even if a batch cannot be decoded: the next batch begins after it.
    if (previous !== undefined) previous.nextOffset = firstOffset
    const nextOffset = firstOffset + 1n + readLastDelta(records, start, end)
    spans.push({ start, end, firstOffset, nextOffset, magic: records.readInt8(start + magicAt) })
    // After an impossible length no further batch can be found; the checksum will show the damage.
    if (end <= start + magicAt) break
    start = end
  }
  return spans
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
