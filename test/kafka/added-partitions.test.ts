import t from 'tap'
import type { Pool } from 'pg'
import {
  countRecords,
  createClient,
  createTopic,
  findUnaccounted,
  names,
  produce,
  startConsumer,
  type TestConsumer,
  type TestTopic,
} from '../ingest/harness.ts'
import { database } from '../support/database.ts'
import { startKafka } from '../support/kafka.ts'
import { until } from '../support/until.ts'

const brokers = await startKafka(t)
// What README promises.
const withinMs = 30_000
// As kafkajs logs it.
const joined = 'Consumer has joined the group'

t.test('partitions that are added while it runs are read, shown, and have a lag', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, brokers, 2)
  await produce(topic, 0, names('before', 5))
  const consumer = startConsumer(t, topic, pool)
  await stored(pool, topic, 5)
  await grow(topic, 5)
  await fill(topic, [3, 4])
  await stored(pool, topic, 25)

  // Each is looked at again, because the group may be dealing the partitions once more.
  const isWhole = async () => (await readLags(consumer)).join() === '0,0,0,0,0'
  await until('each partition to have a lag', isWhole, withinMs)
  await until('all to be shown', () => consumer.health().assigned.join() === '0,1,2,3,4', withinMs)
  await until('none to be unread', () => consumer.health().unread.length === 0, withinMs)
  t.strictSame(await findUnaccounted(pool, topic.topic), [])
})

t.test('they are shared by all members of the group, whoever leads it', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, brokers, 1)
  const members = [0, 1, 2].map(() => startConsumer(t, topic, pool))
  const dealt = () => members.map((member) => member.health().assigned)
  await until('the one partition to be dealt', () => dealt().flat().length === 1)
  await grow(topic, 6)
  await fill(topic, [1, 2, 3, 4, 5])
  await stored(pool, topic, 50)
  const isShared = () => new Set(dealt().flat()).size === 6 && dealt().every(({ length }) => length === 2)
  await until('all of them to be dealt, two to each', isShared, withinMs)
  t.strictSame(await findUnaccounted(pool, topic.topic), [])
})

t.test('each member joins the group once for them, though several of its fetchers notice them', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, brokers, 4)
  const members = [0, 1].map(() => startConsumer(t, topic, pool, {}, 'debug'))
  const isDealt = (count: number) => members.every((member) => member.health().assigned.length === count)
  await until('two to each', () => isDealt(2))
  const joins = () => members.map(({ lines }) => lines.filter((line) => line.message === joined).length)
  const before = joins()
  await grow(topic, 8)
  await fill(topic, [0, 1, 2, 3, 4, 5, 6, 7])
  await until('four to each', () => isDealt(4), withinMs)
  await stored(pool, topic, 80)
  t.strictSame(
    joins(),
    before.map((count) => count + 1),
  )
})

async function grow({ admin, topic }: TestTopic, count: number): Promise<void> {
  await admin.createPartitions({ topicPartitions: [{ topic, count }] })
  // The brokers know of them a moment later.
  await until('the new ones to be known', async () => {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    const leaders = topics.flatMap((each) => each.partitions.map(({ leader }) => leader))
    return leaders.length === count && leaders.every((leader) => leader >= 0)
  })
}

/** With a producer of its own: the topic's does not know the new partitions yet. */
async function fill({ brokers, topic }: TestTopic, partitions: readonly number[]): Promise<void> {
  const producer = createClient(brokers).producer()
  await producer.connect()
  try {
    for (const partition of partitions)
      await produce({ producer, topic }, partition, names(`${topic}-${partition}`, 10))
  } finally {
    await producer.disconnect()
  }
}

function stored(pool: Pool, { topic }: TestTopic, count: number): Promise<void> {
  return until(`${count} records`, async () => (await countRecords(pool, topic)) === count, withinMs)
}

/** By partition. */
async function readLags({ metrics }: TestConsumer): Promise<number[]> {
  const { values } = await metrics.consumerLag.get()
  return values
    .toSorted((one, other) => Number(one.labels.partition) - Number(other.labels.partition))
    .map(({ value }) => value)
}
