import { randomBytes } from 'node:crypto'
import { Kafka, logLevel, PartitionAssigners } from 'kafkajs'
import t, { type Test } from 'tap'
import type { Pool } from 'pg'
import {
  countRecords,
  createTopic,
  findUnaccounted,
  names,
  produce,
  startConsumer,
  unreadLagsOf,
  waitForLine,
  type TestConsumer,
  type TestTopic,
} from '../ingest/harness.ts'
import { database } from '../support/database.ts'
import { startKafka } from '../support/kafka.ts'
import { until } from '../support/until.ts'

const brokers = await startKafka(t)

t.test('two services with a topic each and one group id read every record of both', async (t) => {
  const { pool } = await database(t)
  const [payments, refunds] = await createTopics(t, 4, 3)
  const leader = startConsumer(t, payments, pool)
  await holds(leader, [0, 1, 2, 3])
  const other = startConsumer(t, refunds, pool)
  await fill(payments, 4, 'payment')
  await fill(refunds, 3, 'refund')

  await stored(pool, payments, 40)
  await stored(pool, refunds, 30)
  await holds(leader, [0, 1, 2, 3])
  await holds(other, [0, 1, 2])
  await hasUnread(leader, payments, [])
  await hasUnread(other, refunds, [])
  for (const { topic } of [payments, refunds]) t.strictSame(await findUnaccounted(pool, topic), [])
})

t.test('a topic is changed instance by instance, and both the old and the new one are read', async (t) => {
  const { pool } = await database(t)
  const [old, next] = await createTopics(t, 4, 4)
  const first = startConsumer(t, old, pool)
  await holds(first, [0, 1, 2, 3])
  const second = startConsumer(t, old, pool)
  await until('both to have a share', () => first.health().assigned.length === 2)
  await fill(old, 4, 'before')
  await stored(pool, old, 40)

  await second.stop()
  const changed = startConsumer(t, next, pool)
  await holds(changed, [0, 1, 2, 3])
  await holds(first, [0, 1, 2, 3])
  await fill(old, 4, 'meanwhile')
  await fill(next, 4, 'after')
  await stored(pool, old, 80)
  await stored(pool, next, 40)
  for (const { topic } of [old, next]) t.strictSame(await findUnaccounted(pool, topic), [])
})

t.test('a kafkajs consumer with its own assigner gets its share of its topic from us', async (t) => {
  const { pool } = await database(t)
  const [payments, refunds] = await createTopics(t, 4, 3)
  const leader = startConsumer(t, payments, pool)
  await holds(leader, [0, 1, 2, 3])
  const plain = startPlain(t, refunds)
  await until('the plain consumer to hold its whole topic', () => plain.assigned.join() === '0,1,2')
  await holds(leader, [0, 1, 2, 3])

  const same = startPlain(t, payments)
  await until('the other to hold half of ours', () => same.assigned.length === 2)
  await until('our half', () => leader.health().assigned.length === 2)
  t.strictSame([...leader.health().assigned, ...same.assigned].sort(), [0, 1, 2, 3])
  await hasUnread(leader, payments, [])
})

t.test('a release from before that leads the group of one topic shares it with us', async (t) => {
  const { pool } = await database(t)
  const [payments] = await createTopics(t, 4)
  const older = startPlain(t, payments)
  await until('the older one to hold all', () => older.assigned.length === 4)
  const ours = startConsumer(t, payments, pool)
  await until('each to hold half', () => older.assigned.length === 2 && ours.health().assigned.length === 2)
  t.strictSame([...ours.health().assigned, ...older.assigned].sort(), [0, 1, 2, 3])
  await hasUnread(ours, payments, [])
})

t.test('what a foreign leader deals to nobody is told, and read as soon as it has gone', async (t) => {
  const { pool } = await database(t)
  const [payments, refunds] = await createTopics(t, 2, 2)
  const foreign = startPlain(t, refunds)
  await until('the foreign one to hold its topic', () => foreign.assigned.length === 2)
  await fill(payments, 2, 'payment')
  const ours = startConsumer(t, payments, pool)
  await hasUnread(ours, payments, [0, 1])
  await until('their lag', async () => (await unreadLagsOf(ours)).join() === '0:10,1:10')
  t.match(await waitForLine(ours, 'partitions without a reader'), {
    level: 50,
    topic: payments.topic,
    group_id: payments.groupId,
    partitions: [0, 1],
    leader: 'plain',
    reason: /KAFKA_GROUP_ID/,
  })

  await foreign.stop()
  await stored(pool, payments, 20)
  await hasUnread(ours, payments, [])
  await waitForLine(ours, 'every partition is read')
  await until('no lag of unread partitions', async () => (await unreadLagsOf(ours)).length === 0)
})

/** Topics of one group, with so many partitions each. */
async function createTopics(t: Test, ...partitions: number[]) {
  const groupId = `group-${randomBytes(6).toString('hex')}`
  const topics = await Promise.all(partitions.map((count) => createTopic(t, brokers, count)))
  return topics.map((topic) => ({ ...topic, groupId })) as [TestTopic, TestTopic]
}

/** A consumer as an older release has it, and many another program: kafkajs with the assigner that it comes with. */
function startPlain(t: Test, { topic, groupId }: TestTopic) {
  const consumer = new Kafka({ clientId: 'plain', brokers, logLevel: logLevel.NOTHING }).consumer({
    groupId,
    partitionAssigners: [PartitionAssigners.roundRobin],
    heartbeatInterval: 500,
    maxWaitTimeInMs: 100,
  })
  const plain = { assigned: [] as number[], stop: () => consumer.disconnect() }
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    plain.assigned = payload.memberAssignment[topic] ?? []
  })
  t.teardown(plain.stop)
  const start = async () => {
    await consumer.connect()
    await consumer.subscribe({ topic })
    await consumer.run({ eachMessage: () => Promise.resolve() })
  }
  start().catch((error: unknown) => t.fail('the plain consumer failed', { error }))
  return plain
}

async function fill(topic: TestTopic, partitions: number, prefix: string): Promise<void> {
  for (let partition = 0; partition < partitions; partition++)
    await produce(topic, partition, names(`${topic.topic}-${prefix}-${partition}`, 10))
}

function holds(consumer: TestConsumer, partitions: number[]): Promise<void> {
  return until(
    `partitions ${partitions.join()}`,
    () => consumer.health().assigned.join() === partitions.join(),
    30_000,
  )
}

function stored(pool: Pool, { topic }: TestTopic, count: number): Promise<void> {
  return until(`${count} records`, async () => (await countRecords(pool, topic)) === count, 30_000)
}

/** What the consumer says of partitions that nobody reads, in its health and as a metric. */
function hasUnread(consumer: TestConsumer, { topic }: TestTopic, unread: number[]): Promise<void> {
  const series = `tqp_unread_partitions{topic="${topic}"} ${unread.length}`
  return until(`partitions ${unread.join()} to be unread`, async () => {
    const metrics = await consumer.metrics.registry.metrics()
    return consumer.health().unread.join() === unread.join() && metrics.includes(series)
  })
}
