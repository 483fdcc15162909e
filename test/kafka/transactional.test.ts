import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import kafkajs from 'kafkajs'
import type { Pool } from 'pg'
import t from 'tap'
import { readNextOffsets } from '../../src/log/write/next-offsets.ts'
import {
  countRecords,
  createClient,
  createTopic,
  findUnaccounted,
  names,
  produce,
  readCommitted,
  readRecords,
  startConsumer,
  until,
  type TestTopic,
} from '../ingest/harness.ts'
import { startApacheKafka, type ApacheKafka } from '../support/apache-kafka.ts'
import { whyNoApacheKafka } from '../support/apache-kafka/missing.ts'
import { database } from '../support/database.ts'

// The embedded broker has neither transactions nor compaction.
const missing = await whyNoApacheKafka()
if (missing !== false) t.plan(0, missing)
else testTransactions(await startApacheKafka(t, { properties: { 'log.cleaner.backoff.ms': '100' } }))

function testTransactions(kafka: ApacheKafka): void {
  t.test(
    'what was called off is not delivered, and what was committed is, whatever their order',
    async (t) => {
      const { pool } = await database(t)
      const topic = await createTopic(t, kafka.brokers, 1)
      const [one, other] = [await transactional(t, topic, 'one'), await transactional(t, topic, 'other')]
      // One is called off over the other, each over more than a fetch holds, and with keys that look like the end of a transaction.
      const calledOff = await one.transaction()
      const alsoCalledOff = await other.transaction()
      await produce({ ...topic, producer: calledOff }, 0, ['off-0', ...large('off', 3)], {
        key: Buffer.alloc(4),
      })
      await produce({ ...topic, producer: alsoCalledOff }, 0, ['off-1', ...large('off-1', 2)])
      await produce(topic, 0, ['plain-0'])
      await produce({ ...topic, producer: calledOff }, 0, ['off-2'])
      await alsoCalledOff.abort()
      await produce({ ...topic, producer: calledOff }, 0, ['off-3'])
      await calledOff.abort()
      const committed = await one.transaction()
      await produce({ ...topic, producer: committed }, 0, ['committed-0', 'committed-1'])
      await produce(topic, 0, ['plain-1'])
      await committed.commit()
      await produce(topic, 0, ['plain-2'])
      startConsumer(t, topic, pool)
      await until(async () => (await countRecords(pool, topic.topic)) === 5)

      t.strictSame(
        (await readRecords(pool, topic.topic)).map((record) => record.transaction_id),
        ['plain-0', 'committed-0', 'committed-1', 'plain-1', 'plain-2'],
      )
      t.strictSame(await findUnaccounted(pool, topic.topic), [])
    },
  )

  t.test('an open transaction holds back what comes behind it, until it ends', async (t) => {
    const { pool } = await database(t)
    const topic = await createTopic(t, kafka.brokers, 2)
    const producer = await transactional(t, topic, 'open')
    await produce(topic, 0, ['before'])
    const open = await producer.transaction()
    await produce({ ...topic, producer: open }, 0, ['open'])
    await produce(topic, 0, ['behind'])
    startConsumer(t, topic, pool)
    await produce(topic, 1, ['elsewhere'])
    await until(async () => (await countRecords(pool, topic.topic)) === 2)
    t.strictSame(
      (await readRecords(pool, topic.topic)).map((record) => record.transaction_id),
      ['before', 'elsewhere'],
    )
    await open.commit()
    await until(async () => (await countRecords(pool, topic.topic)) === 4)
    t.strictSame(
      (await readRecords(pool, topic.topic)).map((record) => record.transaction_id),
      ['before', 'open', 'behind', 'elsewhere'],
    )
  })

  t.test('a partition that ends with what is not delivered is stored to its end, with no lag', async (t) => {
    const { pool } = await database(t)
    const topic = await createTopic(t, kafka.brokers, 2)
    const producer = await transactional(t, topic, 'end')
    const consumer = startConsumer(t, topic, pool)
    // Partition 1 holds nothing else at all.
    for (const commits of [true, false]) {
      const transaction = await producer.transaction()
      await produce({ ...topic, producer: transaction }, 0, [commits ? 'committed' : 'off'])
      if (!commits) await produce({ ...topic, producer: transaction }, 1, ['off'])
      await (commits ? transaction.commit() : transaction.abort())
    }
    await untilAllStored(pool, topic)
    await until(async () => (await readCommitted(topic)).join() === '4,2')
    t.equal(await readHoles(pool), '0:1 0:2 0:3 1:0 1:1')
    t.match(await consumer.metrics.registry.metrics(), /tqp_consumer_lag\{[^}]*partition="0"\} 0/)
    t.match(await consumer.metrics.registry.metrics(), /tqp_consumer_lag\{[^}]*partition="1"\} 0/)
    await produce(topic, 1, ['later'])
    await until(async () => (await countRecords(pool, topic.topic)) === 2)
    t.strictSame(await findUnaccounted(pool, topic.topic), [])
  })

  t.test('what compaction left is stored, and what it took is a hole', async (t) => {
    const { pool } = await database(t)
    const topic = await createTopic(t, kafka.brokers, 1)
    await compact(topic)
    const idempotent = createClient(kafka.brokers).producer({ idempotent: true })
    await idempotent.connect()
    t.teardown(() => idempotent.disconnect())
    await produceKeyed(topic, ['a', 'b', 'c', 'd', 'e'])
    // Of this batch nothing will be left but its header, which keeps its producer's place.
    await produceKeyed({ ...topic, producer: idempotent }, ['d', 'e'])
    await produceKeyed(topic, ['d', 'e', 'f'])
    await produceKeyed(topic, ['f'])
    await produceKeyed(topic, ['end'])
    await until(async () => {
      const cleaned = await readFile(join(kafka.dataDir, 'logs', 'cleaner-offset-checkpoint'), 'utf8').catch(
        () => '',
      )
      return cleaned.includes(`${topic.topic} 0 11`)
    })
    startConsumer(t, topic, pool)
    await untilAllStored(pool, topic)
    t.strictSame(
      (await readRecords(pool, topic.topic)).map((record) => record.offset),
      [0, 1, 2, 7, 8, 10, 11],
    )
    t.strictSame(await findUnaccounted(pool, topic.topic), [])
    t.equal(await readHoles(pool), '0:3 0:4 0:5 0:6 0:9')
  })
}

async function transactional(
  t: { teardown: (end: () => Promise<void>) => unknown },
  topic: TestTopic,
  name: string,
) {
  const producer = createClient(topic.brokers).producer({
    transactionalId: `${topic.topic}-${name}`,
    idempotent: true,
    maxInFlightRequests: 1,
  })
  await producer.connect()
  t.teardown(() => producer.disconnect())
  return producer
}

function large(prefix: string, count: number): Buffer[] {
  return names(prefix, count).map((transaction_id) =>
    Buffer.from(JSON.stringify({ transaction_id, note: 'x'.repeat(600_000) })),
  )
}

/** Every append begins a segment, and the cleaner takes all but the last. */
async function compact({ admin, topic }: TestTopic): Promise<void> {
  const entries = {
    'cleanup.policy': 'compact',
    'segment.ms': '1',
    'min.cleanable.dirty.ratio': '0.001',
    'max.compaction.lag.ms': '1',
    'delete.retention.ms': '0',
  }
  const configEntries = Object.entries(entries).map(([name, value]) => ({ name, value }))
  await admin.alterConfigs({
    validateOnly: false,
    resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configEntries }],
  })
}

async function produceKeyed(
  { producer, topic }: Pick<TestTopic, 'producer' | 'topic'>,
  keys: string[],
): Promise<void> {
  const messages = keys.map((key) => ({
    key,
    partition: 0,
    value: JSON.stringify({ transaction_id: `${key}-${Math.random()}` }),
  }))
  await producer.send({ topic, messages })
}

/** Until the log stands at the end of each partition that has one. */
async function untilAllStored(pool: Pool, { admin, topic }: TestTopic): Promise<void> {
  await until(async () => {
    const ends = await admin.fetchTopicOffsets(topic)
    const { places } = await readNextOffsets(pool, topic)
    return ends.every(
      ({ partition, high }) => high === '0' || String(places.get(partition)?.nextOffset) === high,
    )
  })
}

/** Each offset that is told to be a hole, as partition:offset. */
async function readHoles(pool: Pool): Promise<string> {
  const { rows } = await pool.query<{ hole: string }>(
    `select p.partition || ':' || o.kafka_offset as hole
      from partition_holes h join partitions p using (partition_id)
      cross join lateral generate_series(h.first_offset, h.next_offset - 1) as o(kafka_offset)
      order by p.partition, o.kafka_offset`,
  )
  return rows.map((row) => row.hole).join(' ')
}
