/** One partition's part of a fetch answer, undecoded. */
export type FetchedPartition = {
  topic: string
  partition: number
  records: Buffer
  /** Transactions of which records may be among these, and which were aborted. */
  aborted: AbortedTransaction[]
  /** The bytes of the topic's name with its length, and of everything between it and the records. */
  name: Buffer
  header: Buffer
}

export type AbortedTransaction = { producerId: bigint; firstOffset: bigint }

export type SplitAnswer = {
  partitions: FetchedPartition[]
  /** An answer of the same version with these partitions, each with the records given for it. */
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
  // Null, as -1, where none were asked for.
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
 * A record batch as a place in a partition's records. The next offset is the first one behind it, as far as its header and its
 * successor's tell.
 */
export type BatchPlace = {
  start: number
  end: number
  firstOffset: bigint
  nextOffset: bigint
  magic: number
}

// A batch begins with its first offset (int64) and the length of what follows (int32); where its format's number stands is the
// same in all formats.
const prefixBytes = 12
const magicPlace = 16
// How far the last offset lies above the first (int32), in the format of Kafka 0.11 and later.
const lastOffsetDeltaPlace = 23

/** The record batches; one cut off by the answer's size limit is left out. */
export function splitRecords(records: Buffer): BatchPlace[] {
  const places: BatchPlace[] = []
  let start = 0
  while (start + magicPlace < records.length) {
    const end = start + prefixBytes + records.readInt32BE(start + 8)
    if (end > records.length) break
    const firstOffset = records.readBigInt64BE(start)
    const previous = places.at(-1)
    // Of a batch that cannot be decoded nothing but this is sure: the next one begins behind it.
    if (previous !== undefined) previous.nextOffset = firstOffset
    const nextOffset = firstOffset + 1n + readLastDelta(records, start, end)
    places.push({ start, end, firstOffset, nextOffset, magic: records.readInt8(start + magicPlace) })
    // A length that cannot be leaves nothing that could be found behind it; the checksum tells.
    if (end <= start + magicPlace) break
    start = end
  }
  return places
}

function readLastDelta(records: Buffer, start: number, end: number): bigint {
  if (start + lastOffsetDeltaPlace + 4 > end) return 0n
  return BigInt(Math.max(0, records.readInt32BE(start + lastOffsetDeltaPlace)))
}

function int32(value: number): Buffer {
  const buffer = Buffer.allocUnsafe(4)
  buffer.writeInt32BE(value)
  return buffer
}
