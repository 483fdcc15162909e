import { gzipSync } from 'node:zlib'
import kafkajs, { CompressionTypes } from 'kafkajs'
import t from 'tap'
import { decidePartition } from '../../src/log/write/decide-partition.ts'
import { startBroker as startEmbeddedBroker } from '../support/broker.ts'
import { database } from '../support/database.ts'
import { startBroker } from '../support/kafka.ts'
import {
  countRecords,
  createTopic,
  findUnaccounted,
  names,
  produce,
  readRecords,
  startConsumer,
  until,
  waitForLine,
} from './harness.ts'

// Node does not find this one by name in a CommonJS package.
const { CompressionCodecs } = kafkajs

// To be killed and frozen.
const broker = await startBroker(t)
// A real one refuses a batch that cannot be decoded; one that was damaged later, or by another release, it hands out all the same.
const { brokers: careless } = await startEmbeddedBroker(t)

t.test('a batch that cannot be decoded stops its partition, and the others go on', async (t) => {
  for (const [what, type, bytes, reason] of [
    ['broken zstd', CompressionTypes.ZSTD, Buffer.from('anything'), /packed bytes are corrupt/],
    ['broken gzip', CompressionTypes.GZIP, Buffer.from('not gzip at all'), /incorrect header/],
    [
      'a gzip bomb',
      CompressionTypes.GZIP,
      gzipSync(Buffer.alloc(70 * 1024 * 1024)),
      /unpacks to more than 67108864 bytes/,
    ],
  ] as const) {
    await t.test(what, async (t) => {
      const { pool } = await database(t)
      const topic = await createTopic(t, careless, 2)
      const consumer = startConsumer(t, topic, pool)
      await produce(topic, 0, names('before', 5))
      await until(async () => (await countRecords(pool, topic.topic)) === 5)
      await producePoison(topic, type, bytes)
      await produce(topic, 0, names('behind', 5))
      await produce(topic, 1, names('other', 5))
      const line = await waitForLine(consumer, 'partition stopped')
      t.match(line, { partition: 0, next_offset: 5, reason })
      await produce(topic, 1, names('later', 5))
      await until(async () => (await countRecords(pool, topic.topic)) === 15)
      await until(async () => (await pool.query('select from stopped_partitions')).rowCount === 1)

      const records = await readRecords(pool, topic.topic)
      t.equal(records.filter((record) => record.partition === 0).length, 5)
      const { rows } = await pool.query('select partition, reason from stopped_partitions')
      t.match(rows, [
        { partition: 0, reason: /batch at offsets 5 to 7 cannot be decoded .*--retry.*--accept-gap/ },
      ])
      t.match(consumer.health(), { state: 'running', up: true })
      t.equal(consumer.lines.filter((line) => line.event === 'consumer crashed').length, 0)

      const decide = (type: 'resumed' | 'gap_accepted') => {
        const range = { low: 0n, high: 13n }
        const word = { topic: topic.topic, partition: 0, actor: 'alice', reason: 'it was a test' }
        return decidePartition(pool, { ...word, type, range })
      }
      t.match(await decide('resumed'), { kind: 'decided', goesOnAt: 5n })
      consumer.decisions.give()
      await until(async () => (await countStops(pool)) === 2)
      t.match(await decide('gap_accepted'), { kind: 'decided', stoodAt: 5n, goesOnAt: 8n })
      consumer.decisions.give()
      await until(async () => (await countRecords(pool, topic.topic)) === 20)
      const offsets = (await readRecords(pool, topic.topic)).map((record) => record.offset)
      t.strictSame(offsets.slice(0, 10), [0, 1, 2, 3, 4, 8, 9, 10, 11, 12], 'nothing else is passed over')

      // The last stored record lies before the gap now and then: what was given up stops nobody again.
      await consumer.stop()
      const next = startConsumer(t, topic, pool)
      await produce(topic, 0, ['last'])
      await until(async () => (await countRecords(pool, topic.topic)) === 21)
      t.equal(await countStops(pool), 2)
      t.equal(next.lines.filter((line) => line.event === 'partition stopped').length, 0)
    })
  }
})

t.test('a batch that was given up as the last of its partition stops nobody who joins later', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, careless, 1)
  const consumer = startConsumer(t, topic, pool)
  await produce(topic, 0, names('before', 5))
  await until(async () => (await countRecords(pool, topic.topic)) === 5)
  await producePoison(topic, CompressionTypes.GZIP, Buffer.from('not gzip at all'))
  await until(async () => (await countStops(pool)) === 1)
  const range = { low: 0n, high: 8n }
  const word = { topic: topic.topic, partition: 0, actor: 'alice', reason: 'it was a test' }
  await decidePartition(pool, { ...word, type: 'gap_accepted', range })
  await consumer.stop()
  // It begins at the last stored record, and the next batch from there is the one that was given up.
  const next = startConsumer(t, topic, pool)
  await until(() => next.health().up)
  await produce(topic, 0, ['behind'])
  await until(async () => (await countRecords(pool, topic.topic)) === 6)
  t.equal(await countStops(pool), 1)
})

t.test('a broker that is killed and comes back is read on, nothing lost and nothing twice', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, broker.brokers, 2)
  const consumer = startConsumer(t, topic, pool)
  await produce(topic, 0, names('a', 100))
  await until(async () => (await countRecords(pool, topic.topic)) === 100)
  await broker.kill('SIGKILL')
  await waitForLine(consumer, 'consumer crashed')
  t.match(consumer.health(), { up: false, lastError: /./ })
  await waitForLine(consumer, 'waiting for Kafka')
  await broker.restart()
  await produce(topic, 1, names('b', 100))
  await until(async () => (await countRecords(pool, topic.topic)) === 200)
  await until(() => consumer.health().up)
  t.strictSame(await findUnaccounted(pool, topic.topic), [])
})

t.test('a broker that freezes is read on when it thaws', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, broker.brokers, 1)
  const consumer = startConsumer(t, topic, pool)
  await produce(topic, 0, names('a', 10))
  await until(async () => (await countRecords(pool, topic.topic)) === 10)
  await broker.kill('SIGSTOP')
  t.match(await waitForLine(consumer, 'consumer crashed'), {
    reason: /did not answer|timed out|no sign of life/,
  })
  t.equal(consumer.health().up, false)
  await broker.kill('SIGCONT')
  await produce(topic, 0, names('b', 10))
  await until(async () => (await countRecords(pool, topic.topic)) === 20)
  t.strictSame(await findUnaccounted(pool, topic.topic), [])
})

async function countStops(pool: Parameters<typeof countRecords>[0]): Promise<number> {
  const { rowCount } = await pool.query(`select from partition_decisions where type = 'stopped'`)
  return rowCount ?? 0
}

/** kafkajs sends what the codec makes of three records; the broker stores it without a look. */
async function producePoison(
  { producer, topic }: Parameters<typeof produce>[0],
  type: CompressionTypes.GZIP | CompressionTypes.ZSTD,
  bytes: Buffer,
): Promise<void> {
  const before = CompressionCodecs[type]
  CompressionCodecs[type] = () => ({ compress: () => Promise.resolve(bytes) })
  try {
    await producer.send({
      topic,
      compression: type,
      messages: ['a', 'b', 'c'].map((value) => ({ partition: 0, value })),
    })
  } finally {
    CompressionCodecs[type] = before
  }
}
