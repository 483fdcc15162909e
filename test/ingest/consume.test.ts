import t from 'tap'
import { database } from '../support/database.ts'
import { startKafka } from '../support/kafka.ts'
import {
  countRecords,
  createTopic,
  names,
  produce,
  readCommitted,
  readRecords,
  startConsumer,
  until,
  waitForLine,
} from './harness.ts'

const brokers = await startKafka(t)

t.test('every record is stored once, in order, with its offset, and Kafka hears how far', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, brokers, 2)
  await produce(topic, 0, names('a', 1_200))
  await produce(topic, 1, names('b', 7))
  const consumer = startConsumer(t, topic, pool)
  await until(async () => (await countRecords(pool, topic.topic)) === 1_207)

  const expected = (partition: number, ids: string[]) =>
    ids.map((transaction_id, offset) => ({
      partition,
      offset,
      transaction_id,
      type: 'received',
      reason: null,
    }))
  t.strictSame(await readRecords(pool, topic.topic), [
    ...expected(0, names('a', 1_200)),
    ...expected(1, names('b', 7)),
  ])
  await until(async () => (await readCommitted(topic)).join() === '1200,7')
  t.match(consumer.health(), { state: 'running', up: true, lastError: null, assigned: [0, 1] })
  t.match(await waitForLine(consumer, 'batch ingested', { partition: 1 }), {
    from: 0,
    next: 7,
    received: 7,
    duplicate: 0,
    committed: true,
  })
  t.match(
    await consumer.metrics.registry.metrics(),
    /tqp_ingest_records_total\{[^}]*partition="0",result="received"\} 1200/,
  )
  t.match(await consumer.metrics.registry.metrics(), /tqp_consumer_lag\{[^}]*partition="0"\} 0/)
})

t.test('a consumer that was stopped and started again skips nothing and repeats nothing', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, brokers, 1)
  await produce(topic, 0, names('a', 50))
  const first = startConsumer(t, topic, pool)
  await until(async () => (await countRecords(pool, topic.topic)) === 50)
  await first.stop()
  t.match(first.health(), { state: 'stopped', up: false, assigned: [] })
  await produce(topic, 0, names('b', 50))
  const second = startConsumer(t, topic, pool)
  await until(async () => (await countRecords(pool, topic.topic)) === 100)

  const records = await readRecords(pool, topic.topic)
  t.strictSame(
    records.map((record) => record.offset),
    names('', 100).map((_, offset) => offset),
  )
  t.match(await waitForLine(second, 'batch ingested'), { from: 49, skipped: 1, received: 50 })
})

t.test(
  'bad records between good ones are rejected with a reason, and the good ones are messages',
  async (t) => {
    const { pool } = await database(t)
    const topic = await createTopic(t, brokers, 1)
    const bad: (Buffer | null)[] = [
      null,
      Buffer.alloc(0),
      Buffer.from([0xff]),
      Buffer.from('\ufeff{"transaction_id":"bom"}'),
      Buffer.from('{"transaction_id":'),
      Buffer.from('[]'),
      Buffer.from('{"transaction_id":1}'),
      Buffer.from('{"transaction_id":"a\\u0000"}'),
      Buffer.from(`{"transaction_id":"large","note":"${'x'.repeat(500_000)}"}`),
    ]
    const deep = Buffer.from(`{"transaction_id":"deep","a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`)
    await produce(topic, 0, ['good-0', ...bad.flatMap((each, at) => [each, `good-${at + 1}`]), deep])
    const count = 2 * bad.length + 2
    startConsumer(t, topic, pool, { maxRecordBytes: 400_000 })
    await until(async () => (await countRecords(pool, topic.topic)) === count)

    const records = await readRecords(pool, topic.topic)
    for (const { offset, type, transaction_id, reason } of records) {
      if (offset % 2 === 1 && offset < count - 1) {
        t.match(
          { type, transaction_id },
          { type: 'rejected', transaction_id: `record:${topic.topic}:0:${offset}` },
        )
        t.match(reason, /\.$/)
      } else {
        t.match({ type, reason }, { type: 'received', reason: null })
      }
    }
    const { rows } = await pool.query(
      `select status, count(*)::int as count from messages group by 1 order by 1`,
    )
    t.strictSame(rows, [
      { status: 'dead_letter', count: bad.length },
      { status: 'pending', count: bad.length + 2 },
    ])
  },
)

t.test('the same id with the same bytes is a duplicate, with other bytes a conflict', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, brokers, 1)
  await produce(topic, 0, ['a', 'a', Buffer.from('{"transaction_id":"a","amount":"2.00"}'), 'b'])
  const consumer = startConsumer(t, topic, pool)
  await until(async () => (await countRecords(pool, topic.topic)) === 4)
  t.strictSame(
    (await readRecords(pool, topic.topic)).map((record) => record.type),
    ['received', 'duplicate_received', 'conflict_received', 'received'],
  )
  t.match(await waitForLine(consumer, 'batch ingested'), { received: 2, duplicate: 1, conflict: 1 })
})

t.test(
  'first attempts that the fresh lane has room for are started with the records, and handed to it',
  async (t) => {
    const { pool } = await database(t)
    const topic = await createTopic(t, brokers, 1)
    const consumer = startConsumer(t, topic, pool)
    consumer.lane.room = 3
    await produce(topic, 0, names('a', 10), { headers: { traceparent: 'trace-1' } })
    await until(async () => (await countRecords(pool, topic.topic)) === 10)
    await until(() => consumer.lane.claims.length === 3)
    t.match(
      consumer.lane.claims,
      names('a', 3).map((transactionId) => ({
        transactionId,
        attempt: 1,
        payload: Buffer.from(JSON.stringify({ transaction_id: transactionId })),
        traceparent: 'trace-1',
      })),
    )
    const { rows } = await pool.query(
      `select status, count(*)::int as count from messages group by 1 order by 1`,
    )
    t.strictSame(rows, [
      { status: 'pending', count: 7 },
      { status: 'processing', count: 3 },
    ])
  },
)

t.test('without a stored offset it begins at the one the group committed', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, brokers, 2)
  await produce(topic, 0, names('a', 10))
  await produce(topic, 1, names('b', 10))
  await topic.admin.setOffsets({ ...topic, partitions: [{ partition: 0, offset: '6' }] })
  startConsumer(t, topic, pool)
  await until(async () => (await countRecords(pool, topic.topic)) === 14)
  const records = await readRecords(pool, topic.topic)
  t.equal(records[0]?.offset, 6)
  t.equal(
    records.find((record) => record.partition === 1)?.offset,
    0,
    'a partition without one begins at the earliest',
  )
})

t.test('it waits for Kafka, one line a try', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, brokers, 1)
  const deaf = startConsumer(t, { ...topic, brokers: ['127.0.0.1:1'] }, pool)
  await until(() => deaf.lines.filter((line) => line.event === 'waiting for Kafka').length === 2)
  t.match(deaf.health(), { state: 'starting', up: false, lastError: /ECONNREFUSED/ })
  t.match(deaf.lines, [{ failures: 1 }, { failures: 2 }])
  await deaf.stop()
  t.match(deaf.health(), { state: 'stopped' })
})

t.test('it waits for a topic that is not there, never makes it, and says so', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, brokers, 1)
  const later = { ...topic, topic: `${topic.topic}-later` }
  const consumer = startConsumer(t, later, pool)
  await until(() => consumer.lines.filter(({ event }) => event === 'waiting for Kafka').length === 3)
  t.match(consumer.lines.at(-1), { reason: `Kafka has no topic ${later.topic}: correct KAFKA_TOPIC` })
  t.match(consumer.health(), { up: false, topicMissing: true, lastError: /^Kafka has no topic/ })
  t.notOk((await topic.admin.listTopics()).includes(later.topic), 'nobody made it')

  await topic.admin.createTopics({
    topics: [{ topic: later.topic, numPartitions: 5 }],
    waitForLeaders: false,
  })
  await until(() => consumer.health().assigned.length === 5)
  await produce(later, 4, ['a'])
  await until(async () => (await countRecords(pool, later.topic)) === 1)
  await until(() => consumer.health().state === 'running')
  t.match(consumer.health(), { lastError: null, topicMissing: false })
})

t.test(
  'a topic that is deleted while it is read is not made again, and read on when it is there',
  async (t) => {
    const { pool } = await database(t)
    const topic = await createTopic(t, brokers, 2)
    await produce(topic, 0, names('a', 5))
    const consumer = startConsumer(t, topic, pool)
    await until(async () => (await countRecords(pool, topic.topic)) === 5)
    await topic.admin.deleteTopics({ topics: [topic.topic] })
    await until(() => consumer.health().topicMissing)
    await waitForLine(consumer, 'waiting for Kafka')
    await until(() => consumer.lines.filter(({ event }) => event === 'waiting for Kafka').length >= 3)
    t.match(consumer.lines.at(-1), { reason: /^Kafka has no topic/ })
    t.notOk((await topic.admin.listTopics()).includes(topic.topic), 'nobody made it again')

    await topic.admin.createTopics({
      topics: [{ topic: topic.topic, numPartitions: 2 }],
      waitForLeaders: false,
    })
    await until(() => consumer.health().assigned.length === 2)
    await produce(topic, 1, names('b', 5))
    await until(async () => (await countRecords(pool, topic.topic)) === 10)
    // What was stored of the other one were another topic's records: an operator decides about it.
    await waitForLine(consumer, 'partition stopped', { partition: 0 })
    t.match(consumer.health(), { up: true, topicMissing: false })
  },
)

t.test('a record at the debug level is one line, without its payload', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, brokers, 1)
  await produce(topic, 0, [Buffer.from('{"transaction_id":"a","card":"4111111111111111"}')])
  const consumer = startConsumer(t, topic, pool, {}, 'debug')
  t.match(await waitForLine(consumer, 'record ingested'), {
    offset: 0,
    transaction_id: 'a',
    result: 'received',
  })
  t.notMatch(JSON.stringify(consumer.lines), /4111/)
})
