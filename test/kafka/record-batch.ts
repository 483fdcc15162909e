import { crc32c } from '../../src/kafka/crc32c.ts'

export type TestRecord = {
  key?: Buffer | null
  value?: Buffer | null
  headers?: [name: string, value: Buffer | null][]
  offsetDelta?: number
  timestampDelta?: number
}

export type BatchFields = {
  attributes?: number
  producerId?: bigint
  baseTimestamp?: bigint
  maxTimestamp?: bigint
  lastOffsetDelta?: number
  count?: number
  /** Turns the records' bytes into what stands in the batch. */
  pack?: (records: Buffer) => Buffer
  crc?: (right: number) => number
}

/** A record batch in the format of Kafka 0.11 and later, with whatever is to be wrong about it. */
export function recordBatch(
  offset: number,
  records: readonly TestRecord[],
  fields: BatchFields = {},
): Buffer {
  const deltas = records.map((record, at) => record.offsetDelta ?? at)
  const plain = Buffer.concat(records.map((record, at) => encodeRecord(record, deltas[at]!)))
  const covered = Buffer.concat([
    int16(fields.attributes ?? 0),
    int32(fields.lastOffsetDelta ?? deltas.at(-1) ?? 0),
    int64(fields.baseTimestamp ?? 1_000n),
    int64(fields.maxTimestamp ?? 1_000n),
    int64(fields.producerId ?? -1n),
    int16(-1),
    int32(-1),
    int32(fields.count ?? records.length),
    (fields.pack ?? ((bytes) => bytes))(plain),
  ])
  const right = crc32c(covered, 0)
  const crc = Buffer.alloc(4)
  crc.writeUInt32BE(fields.crc?.(right) ?? right)
  const body = Buffer.concat([int32(0), Buffer.from([2]), crc, covered])
  return Buffer.concat([int64(BigInt(offset)), int32(body.length), body])
}

/** The end of a transaction, as a broker writes it. */
export function controlBatch(offset: number, producerId: bigint, type: 'abort' | 'commit'): Buffer {
  const key = Buffer.from([0, 0, 0, type === 'abort' ? 0 : 1])
  return recordBatch(offset, [{ key, value: Buffer.alloc(6) }], { producerId, attributes: 0x30 })
}

export type AnsweredPartition = {
  partition: number
  batches: Buffer[]
  aborted?: { producerId: bigint; firstOffset: bigint }[]
}

/** A fetch answer of version 4 to 11 for one topic, named `topic`. */
export function fetchAnswer(version: number, partitions: readonly AnsweredPartition[]): Buffer {
  const name = Buffer.from('topic')
  return Buffer.concat([
    version >= 7 ? Buffer.concat([int32(0), int16(0), int32(0)]) : int32(0),
    int32(1),
    int16(name.length),
    name,
    int32(partitions.length),
    ...partitions.flatMap(({ partition, batches, aborted = [] }) => {
      const records = Buffer.concat(batches)
      return [
        int32(partition),
        int16(0),
        int64(100n),
        int64(100n),
        ...(version >= 5 ? [int64(0n)] : []),
        int32(aborted.length),
        ...aborted.flatMap((each) => [int64(each.producerId), int64(each.firstOffset)]),
        ...(version >= 11 ? [int32(-1)] : []),
        int32(records.length),
        records,
      ]
    }),
  ])
}

export function encodeRecord(record: TestRecord, offsetDelta: number): Buffer {
  const headers = record.headers ?? []
  const body = Buffer.concat([
    Buffer.from([0]),
    varlong(BigInt(record.timestampDelta ?? 0)),
    varlong(BigInt(offsetDelta)),
    sized(record.key ?? null),
    sized(record.value ?? null),
    varlong(BigInt(headers.length)),
    ...headers.flatMap(([name, value]) => [sized(Buffer.from(name)), sized(value)]),
  ])
  return Buffer.concat([varlong(BigInt(body.length)), body])
}

function sized(bytes: Buffer | null): Buffer {
  return bytes === null ? varlong(-1n) : Buffer.concat([varlong(BigInt(bytes.length)), bytes])
}

/** Zigzag, seven bits a byte, as Kafka writes both its varints. */
export function varlong(value: bigint): Buffer {
  const bytes: number[] = []
  let left = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  for (; left > 0x7fn; left >>= 7n) bytes.push(Number(left & 0x7fn) | 0x80)
  return Buffer.from([...bytes, Number(left)])
}

function int16(value: number): Buffer {
  const buffer = Buffer.alloc(2)
  buffer.writeInt16BE(value)
  return buffer
}

function int32(value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeInt32BE(value)
  return buffer
}

function int64(value: bigint): Buffer {
  const buffer = Buffer.alloc(8)
  buffer.writeBigInt64BE(value)
  return buffer
}
