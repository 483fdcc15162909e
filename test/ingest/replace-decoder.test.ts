import { createRequire } from 'node:module'
import t from 'tap'
import { onUndecodable, type Undecodable } from '../../src/ingest/isolate-undecodable.ts'

type Answer = {
  responses: {
    topicName: string
    partitions: { partition: number; messages: { offset: string; value: Buffer }[] }[]
  }[]
}
const load = createRequire(import.meta.url)
const decoderOf = (version: number) =>
  load(`kafkajs/src/protocol/requests/fetch/v${version}/response.js`) as {
    decode: (raw: Buffer) => Promise<Answer>
  }

const found: Undecodable[] = []
const forget = onUndecodable((each) => found.push(each))
t.teardown(forget)
t.beforeEach(() => void (found.length = 0))

for (const version of [4, 5, 6, 7, 8, 9, 10, 11]) {
  t.test(
    `Fetch ${version}: an undecodable batch is reported, and the other partitions are read`,
    async (t) => {
      const answer = await decoderOf(version).decode(
        fetchAnswer(version, [
          { partition: 0, batches: [batch(10, 'a'), batch(11, 'b')] },
          { partition: 1, batches: [poison(20), batch(21, 'c')] },
          { partition: 2, batches: [batch(30, 'd')] },
          { partition: 3, batches: [] },
        ]),
      )
      t.strictSame(read(answer), { 0: ['10:a', '11:b'], 1: [], 2: ['30:d'], 3: [] })
      t.match(found, [{ topic: 'topic', partition: 1, first: 20n, reason: /incorrect header check/ }])
      t.equal(found.length, 1)
    },
  )
}

t.test('what stands before an undecodable batch is read first, and nothing is reported yet', async (t) => {
  const batches = [batch(10, 'a'), batch(11, 'b'), poison(12), batch(13, 'c')]
  const answer = await decoderOf(11).decode(fetchAnswer(11, [{ partition: 0, batches }]))
  t.strictSame(read(answer), { 0: ['10:a', '11:b'] })
  t.strictSame(found, [])
})

t.test('a batch cut off by the size of the answer is no undecodable one', async (t) => {
  const batches = [batch(10, 'a'), batch(11, 'b').subarray(0, 30)]
  const answer = await decoderOf(11).decode(fetchAnswer(11, [{ partition: 0, batches }]))
  t.strictSame(read(answer), { 0: ['10:a'] })
  t.strictSame(found, [])
})

t.test('an answer that is broken as a whole is an error as before', async (t) => {
  await t.rejects(decoderOf(11).decode(Buffer.alloc(3)))
  t.strictSame(found, [])
})

function read(answer: Answer): Record<number, string[]> {
  const partitions = answer.responses.flatMap((response) => response.partitions)
  return Object.fromEntries(
    partitions.map(({ partition, messages }) => [
      partition,
      messages.map((each) => `${each.offset}:${each.value.toString()}`),
    ]),
  )
}

function fetchAnswer(version: number, partitions: { partition: number; batches: Buffer[] }[]): Buffer {
  const name = Buffer.from('topic')
  const topic = Buffer.concat([int16(name.length), name])
  const top = version >= 7 ? Buffer.concat([int32(0), int16(0), int32(0)]) : int32(0)
  return Buffer.concat([
    top,
    int32(1),
    topic,
    int32(partitions.length),
    ...partitions.flatMap(({ partition, batches }) => {
      const records = Buffer.concat(batches)
      const aborted = partition === 2 ? [int32(1), int64(77), int64(5)] : [int32(0)]
      return [
        int32(partition),
        int16(0),
        int64(100),
        int64(100),
        ...(version >= 5 ? [int64(0)] : []),
        ...aborted,
        ...(version >= 11 ? [int32(-1)] : []),
        int32(records.length),
        records,
      ]
    }),
  ])
}

/** A record batch of one record, as Kafka 0.11 and later write it; kafkajs does not check its CRC. */
function batch(offset: number, value: string): Buffer {
  const bytes = Buffer.from(value)
  const record = Buffer.concat([Buffer.from([0, 0, 0, 1, bytes.length * 2]), bytes, Buffer.from([0])])
  return recordBatch(offset, 0, Buffer.concat([Buffer.from([record.length * 2]), record]))
}

function poison(offset: number): Buffer {
  return recordBatch(offset, 1, Buffer.from('this is not gzip'))
}

function recordBatch(offset: number, attributes: number, records: Buffer): Buffer {
  const body = Buffer.concat([
    int32(0),
    Buffer.from([2]),
    int32(0),
    int16(attributes),
    int32(0),
    int64(1_000),
    int64(1_000),
    int64(-1),
    int16(-1),
    int32(-1),
    int32(1),
    records,
  ])
  return Buffer.concat([int64(offset), int32(body.length), body])
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

function int64(value: number): Buffer {
  const buffer = Buffer.alloc(8)
  buffer.writeBigInt64BE(BigInt(value))
  return buffer
}
