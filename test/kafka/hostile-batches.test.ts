import { readFileSync, openSync, readSync, writeSync, closeSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { CompressionTypes } from 'kafkajs'
import type { Pool } from 'pg'
import t, { type Test } from 'tap'
import { codecs, registerCodecs } from '../../src/kafka/unpack/register-codecs.ts'
import {
  countRecords,
  createTopic,
  names,
  produce,
  readRecords,
  startConsumer,
  until,
  waitForLine,
  type TestTopic,
} from '../ingest/harness.ts'
import { startBroker as startEmbeddedBroker } from '../support/broker.ts'
import { database } from '../support/database.ts'
import { startKafka } from '../support/kafka.ts'
import { encodeRecord, type TestRecord } from './record-batch.ts'

const brokers = await startKafka(t)
const unpackedMax = 64 * 1024 * 1024
const packedByJava = new URL('packed/', import.meta.url)
const recordsPlace = 61

// unpack.test.ts has more levels of each.
const packed = {
  'gzip.bin': CompressionTypes.GZIP,
  'snappy.bin': CompressionTypes.Snappy,
  'lz4-1.bin': CompressionTypes.LZ4,
  'zstd-3.bin': CompressionTypes.ZSTD,
}
for (const [file, type] of Object.entries(packed)) {
  t.test(`what the Java client packed is stored whole: ${file}`, async (t) => {
    const { pool } = await database(t)
    const topic = await createTopic(t, brokers, 1)
    await producePacked(
      topic,
      0,
      type,
      1_000,
      readFileSync(new URL(file, packedByJava)).subarray(recordsPlace),
    )
    startConsumer(t, topic, pool)
    await until(async () => (await countRecords(pool, topic.topic)) === 1_000)
    const records = await readRecords(pool, topic.topic)
    t.ok(records.every(({ transaction_id }, at) => transaction_id === `tx-${at}`))
    t.strictSame(await readHeaders(pool, 10), [
      ['traceparent', Buffer.from(`00-${'ab'.repeat(16)}-01`).toString('base64')],
      ['repeated', null],
      ['repeated', ''],
    ])
  })
}

t.test('gzip of kafkajs itself is stored whole', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, brokers, 1)
  registerCodecs(unpackedMax)
  const messages = names('a', 500).map((id) => ({
    partition: 0,
    value: JSON.stringify({ transaction_id: id }),
  }))
  await topic.producer.send({ topic: topic.topic, compression: CompressionTypes.GZIP, messages })
  startConsumer(t, topic, pool)
  await until(async () => (await countRecords(pool, topic.topic)) === 500)
  t.strictSame(
    (await readRecords(pool, topic.topic)).map((record) => record.transaction_id),
    names('a', 500),
  )
})

t.test(
  'a batch that unpacks to more than the limit stops its partition alone, with the reason',
  async (t) => {
    const { pool } = await database(t)
    const topic = await createTopic(t, brokers, 2)
    await produce(topic, 0, ['before'])
    const bomb = encodeRecord({ value: Buffer.alloc(unpackedMax) }, 0)
    await producePacked(topic, 0, CompressionTypes.GZIP, 1, gzipSync(bomb))
    await produce(topic, 0, ['behind'])
    await stopsAlone(t, topic, pool, `it unpacks to more than ${unpackedMax} bytes`)
  },
)

t.test(
  'a record with sixteen thousand headers is stored with each of them, between its neighbours',
  async (t) => {
    const { pool } = await database(t)
    const topic = await createTopic(t, brokers, 2)
    const headers = Array.from({ length: 16_000 }, (_, at): [string, Buffer | null] => [
      `name-${at % 9_000}`,
      at % 5 === 0 ? null : Buffer.from(String(at)),
    ])
    const values = ['good-0', 'many', 'good-1']
    const records = values.map((id): TestRecord => ({
      value: Buffer.from(JSON.stringify({ transaction_id: id })),
      ...(id === 'many' ? { headers } : {}),
    }))
    await producePacked(
      topic,
      0,
      CompressionTypes.GZIP,
      3,
      gzipSync(Buffer.concat(records.map(encodeRecord))),
    )
    await produce(topic, 1, names('other', 10))
    const consumer = startConsumer(t, topic, pool)
    await until(async () => (await countRecords(pool, topic.topic)) === 13)
    t.strictSame(
      (await readRecords(pool, topic.topic))
        .slice(0, 3)
        .map(({ type, transaction_id }) => ({ type, transaction_id })),
      values.map((transaction_id) => ({ type: 'received', transaction_id })),
    )
    t.strictSame(
      await readHeaders(pool, 1),
      headers.map(([name, value]) => [name, value?.toString('base64') ?? null]),
    )
    t.match(consumer.health(), { state: 'running', assigned: [0, 1] })
  },
)

t.test('a batch that was damaged on the broker’s disk stops its partition alone', async (t) => {
  // Only the embedded broker's files are ours to change.
  const broker = await startEmbeddedBroker(t)
  const { pool } = await database(t)
  const topic = await createTopic(t, broker.brokers, 2)
  await produce(topic, 0, ['before'])
  await produce(topic, 0, [Buffer.from('{"transaction_id":"damaged","amount":"10.00"}')])
  await produce(topic, 0, ['behind'])
  await flip(broker.dataDir, Buffer.from('"amount":"10.00"'), '"amount":"'.length)
  await stopsAlone(t, topic, pool, 'its checksum does not match its bytes')
})

/** Partition 0 has one good record, then one batch that cannot be decoded; partition 1 is to go on. */
async function stopsAlone(t: Test, topic: TestTopic, pool: Pool, reason: string): Promise<void> {
  const consumer = startConsumer(t, topic, pool)
  const line = await waitForLine(consumer, 'partition stopped')
  t.match(line, { partition: 0, next_offset: 1 })
  t.match(line.reason, `The record batch at offset 1 cannot be decoded (${reason}`)
  await produce(topic, 1, names('other', 20))
  await until(async () => (await countRecords(pool, topic.topic)) === 21)
  t.strictSame(
    (await readRecords(pool, topic.topic))
      .filter((record) => record.partition === 0)
      .map((record) => record.transaction_id),
    ['before'],
  )
  await until(async () => {
    const { rows } = await pool.query(`select reason from partition_decisions where type = 'stopped'`)
    return rows.length === 1
  })
  t.match(consumer.health(), { state: 'running', up: true })
  t.equal(consumer.lines.filter((each) => each.event === 'partition stopped').length, 1)
}

/** Has kafkajs produce a batch whose records were packed elsewhere. */
async function producePacked(
  { producer, topic }: TestTopic,
  partition: number,
  type: CompressionTypes,
  count: number,
  packed: Buffer,
): Promise<void> {
  const before = codecs[type]
  codecs[type] = () => ({
    compress: () => Promise.resolve(packed),
    decompress: (bytes) => Promise.resolve(bytes),
  })
  try {
    const timestamp = '1700000000000'
    const messages = Array.from({ length: count }, () => ({ partition, value: '', timestamp }))
    await producer.send({ topic, compression: type, messages })
  } finally {
    codecs[type] = before
  }
}

async function readHeaders(pool: Pool, offset: number): Promise<unknown> {
  const { rows } = await pool.query<{ headers: unknown }>(
    `select r.headers from records r join message_events e using (message_id, version) where e.kafka_offset = $1
      order by e.partition limit 1`,
    [offset],
  )
  return rows[0]?.headers
}

/** Flips a bit behind the place where a partition's file has these bytes. */
async function flip(folder: string, bytes: Buffer, behind: number): Promise<void> {
  const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.log'))
  for (const file of files.map((name) => join(folder, name))) {
    const at = readFileSync(file).indexOf(bytes)
    if (at < 0) continue
    const handle = openSync(file, 'r+')
    const byte = Buffer.alloc(1)
    readSync(handle, byte, 0, 1, at + behind)
    byte[0]! ^= 8
    writeSync(handle, byte, 0, 1, at + behind)
    closeSync(handle)
    return
  }
  throw new Error('the bytes are in no file')
}
