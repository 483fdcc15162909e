import { connect } from 'node:net'
import { CompressionTypes, Kafka, logLevel, Partitioners, type Consumer, type Producer } from 'kafkajs'
import t, { type Test } from 'tap'
import { startBroker } from '../support/broker.ts'
import { startProxy } from '../support/proxy.ts'

const broker = await startBroker(t)
const kafka = new Kafka({ brokers: broker.brokers, logLevel: logLevel.NOTHING })
const admin = kafka.admin()
await admin.connect()
t.teardown(() => admin.disconnect())

t.test(
  'what is produced, plain or gzip, is consumed byte for byte with its key, headers and offset',
  async (t) => {
    const producer = await openProducer(t)
    const messages = [
      { key: 'k', value: Buffer.from([0, 255, 10]), headers: { trace: 'abc' } },
      { key: null, value: null },
    ]
    await producer.send({ topic: 'bytes', messages: messages.map((each) => ({ ...each, partition: 0 })) })
    await producer.send({
      topic: 'bytes',
      messages: [{ value: 'z', partition: 0 }],
      compression: CompressionTypes.GZIP,
    })

    const records = await consume(t, 'bytes', 'bytes-group', 3)
    t.match(records, [
      {
        offset: '0',
        key: Buffer.from('k'),
        value: Buffer.from([0, 255, 10]),
        headers: { trace: Buffer.from('abc') },
      },
      { offset: '1', key: null, value: null },
      { offset: '2', value: Buffer.from('z') },
    ])
  },
)

t.test(
  'a topic that nobody made gets three partitions, and one that was made gets as many as asked for',
  async (t) => {
    const producer = await openProducer(t)
    await producer.send({ topic: 'unmade', messages: [{ value: 'a' }] })
    await admin.createTopics({ topics: [{ topic: 'made', numPartitions: 5 }] })
    t.equal((await admin.fetchTopicOffsets('unmade')).length, 3)
    t.equal((await admin.fetchTopicOffsets('made')).length, 5)
    t.equal(await admin.createTopics({ topics: [{ topic: 'made' }] }), false, 'it cannot be made twice')
    await t.rejects(
      admin.createTopics({ topics: [{ topic: 'no/path' }] }),
      'a name that is no topic name is refused',
    )

    await admin.createPartitions({ topicPartitions: [{ topic: 'made', count: 6 }] })
    t.equal((await admin.fetchTopicOffsets('made')).length, 6)
  },
)

t.test(
  'a topic that is deleted and made again is empty, and groups have forgotten the first one',
  async (t) => {
    await produceValues(t, 'again', ['a', 'b'])
    await commit(t, 'again-group', 'again', '2')
    await admin.deleteTopics({ topics: ['again'] })
    t.notOk((await admin.listTopics()).includes('again'))
    await admin.createTopics({ topics: [{ topic: 'again', numPartitions: 1 }] })
    t.match(await admin.fetchTopicOffsets('again'), [{ high: '0', low: '0' }])
    t.equal(await committedOffset('again-group', 'again'), '-1')
  },
)

t.test(
  'two consumers of a group share the partitions, and one takes over when the other leaves',
  async (t) => {
    await admin.createTopics({ topics: [{ topic: 'shared', numPartitions: 4 }] })
    const seen = new Set<string>()
    const first = await openConsumer(t, 'shared-group')
    const second = await openConsumer(t, 'shared-group')
    const alone = assignment(first, 4)
    await run(first, 'shared', (value) => seen.add(value))
    await alone
    // The second's arrival makes the first join again, so both assignments are of the same generation.
    const [firstPart, secondPart] = [assignment(first, 2), assignment(second, 2)]
    await run(second, 'shared', (value) => seen.add(value))
    t.same([...(await firstPart), ...(await secondPart)].sort(), [0, 1, 2, 3])

    await produceValues(t, 'shared', numbers(0, 1000))
    await until(() => seen.size === 1000, first, second)
    const whole = assignment(second, 4)
    await first.disconnect()
    t.same((await whole).sort(), [0, 1, 2, 3])
    await produceValues(t, 'shared', numbers(1000, 2000))
    await until(() => seen.size === 2000, second)
    t.match(await admin.describeGroups(['shared-group']), {
      groups: [{ groupId: 'shared-group', state: 'Stable', members: { length: 1 } }],
    })
  },
)

t.test('a group goes on where it committed, and can be deleted only once it is empty', async (t) => {
  await produceValues(t, 'resumed', ['a', 'b', 'c'], 0)
  t.same(values(await consume(t, 'resumed', 'resumed-group', 3)), ['a', 'b', 'c'])
  await produceValues(t, 'resumed', ['d'], 0)
  const consumer = await openConsumer(t, 'resumed-group')
  const seen: string[] = []
  await run(consumer, 'resumed', (value) => seen.push(value))
  await until(() => seen.length > 0, consumer)
  t.same(seen, ['d'], 'what was committed before is not read again')

  await t.rejects(admin.deleteGroups(['resumed-group']), 'the group has a member')
  await consumer.disconnect()
  await admin.deleteGroups(['resumed-group'])
  t.notOk((await admin.listGroups()).groups.some(({ groupId }) => groupId === 'resumed-group'))
})

t.test(
  'an idempotent producer whose answer is lost sends again, and the record is stored once',
  async (t) => {
    const proxy = await startProxy(t, { host: '127.0.0.1', port: broker.port })
    const viaProxy = new Kafka({
      brokers: broker.brokers,
      logLevel: logLevel.NOTHING,
      socketFactory: ({ onConnect }) => connect(proxy.port, '127.0.0.1', onConnect),
    })
    const producer = viaProxy.producer({
      idempotent: true,
      createPartitioner: Partitioners.DefaultPartitioner,
    })
    await producer.connect()
    t.teardown(() => producer.disconnect())
    await admin.createTopics({ topics: [{ topic: 'once', numPartitions: 1 }] })
    const send = (value: string) => producer.send({ topic: 'once', messages: [{ value }] })
    await send('a')

    proxy.freeze('toClient')
    const sent = send('b')
    await storedUpTo('once', '2')
    proxy.cut()
    proxy.thaw()
    t.match(await sent, [{ baseOffset: '1' }], 'the repeat is told where the first one went')
    await send('c')
    t.same(values(await consume(t, 'once', 'once-group', 3)), ['a', 'b', 'c'])
    t.match(await admin.fetchTopicOffsets('once'), [{ high: '3' }])
  },
)

t.test(
  'a consumer whose offset is beyond the log or below its start starts over at the first record that is left',
  async (t) => {
    await produceValues(t, 'ranged', numbers(0, 10), 0)
    t.match(await partitionOffsets('ranged'), { low: '0', high: '10' })
    await admin.deleteTopicRecords({ topic: 'ranged', partitions: [{ partition: 0, offset: '7' }] })
    t.match(await partitionOffsets('ranged'), { low: '7', high: '10' })
    await t.rejects(
      admin.deleteTopicRecords({ topic: 'ranged', partitions: [{ partition: 0, offset: '11' }] }),
      'records that are not there cannot be deleted',
    )

    for (const offset of ['3', '1000']) {
      const groupId = `ranged-group-${offset}`
      await commit(t, groupId, 'ranged', offset)
      t.same(values(await consume(t, 'ranged', groupId, 3)), ['7', '8', '9'])
    }
  },
)

t.test('a time leads to the first offset at or after it', async (t) => {
  const producer = await openProducer(t)
  for (const second of [1, 2, 3]) {
    const message = { value: 'x', partition: 0, timestamp: String(second * 1000) }
    await producer.send({ topic: 'timed', messages: [message] })
  }
  const at = async (timestamp: number) =>
    (await admin.fetchTopicOffsetsByTimestamp('timed', timestamp))[0]?.offset
  t.equal(await at(1500), '1')
  t.equal(await at(3000), '2')
  t.equal(await at(3001), '3', 'kafkajs gives the next offset where no record is late enough')
})

t.test('a fetch gives a record that is larger than what the client would like at once', async (t) => {
  const producer = await openProducer(t)
  const large = 'x'.repeat(3 * 1024 * 1024)
  await producer.send({ topic: 'large', messages: [{ value: large, partition: 0 }] })
  await producer.send({ topic: 'large', messages: [{ value: 'small', partition: 0 }] })
  const records = await consume(t, 'large', 'large-group', 2)
  t.ok(values(records)[0] === large, 'the large one came whole')
  t.equal(values(records)[1], 'small')
})

t.test('a transactional producer is refused', async (t) => {
  const producer = kafka.producer({
    transactionalId: 'tx',
    idempotent: true,
    maxInFlightRequests: 1,
    createPartitioner: Partitioners.DefaultPartitioner,
  })
  t.teardown(() => producer.disconnect())
  await producer.connect()
  await t.rejects(producer.transaction())
})

type Consumed = { offset: string; key: Buffer | null; value: Buffer | null; headers: object }

async function openProducer(t: Test): Promise<Producer> {
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  await producer.connect()
  t.teardown(() => producer.disconnect())
  return producer
}

async function openConsumer(t: Test, groupId: string): Promise<Consumer> {
  const consumer = kafka.consumer({ groupId, heartbeatInterval: 100, maxWaitTimeInMs: 200 })
  await consumer.connect()
  t.teardown(() => consumer.disconnect())
  return consumer
}

async function produceValues(t: Test, topic: string, all: string[], partition?: number): Promise<void> {
  const producer = await openProducer(t)
  const messages = all.map((value) =>
    partition === undefined ? { value, key: value } : { value, partition },
  )
  await producer.send({ topic, messages })
}

/** Commits an offset of partition 0 for a group, as a member that leaves at once. */
async function commit(t: Test, groupId: string, topic: string, offset: string): Promise<void> {
  const consumer = await openConsumer(t, groupId)
  const joined = assignment(consumer, 3)
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({ autoCommit: false, eachMessage: async () => undefined })
  await joined
  await consumer.commitOffsets([{ topic, partition: 0, offset }])
  await consumer.disconnect()
}

/** Reads so many records of a topic from its start as one group, commits them, and leaves the group. */
async function consume(t: Test, topic: string, groupId: string, count: number): Promise<Consumed[]> {
  const consumer = await openConsumer(t, groupId)
  const records: Consumed[] = []
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ message }) => {
      records.push({ ...message, headers: message.headers ?? {} })
    },
  })
  await until(() => records.length >= count, consumer)
  await consumer.disconnect()
  return records
}

async function run(consumer: Consumer, topic: string, take: (value: string) => void): Promise<void> {
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({ eachMessage: async ({ message }) => take(String(message.value)) })
}

/** Waits for a generation that gives the consumer so many partitions. */
async function assignment(consumer: Consumer, count: number): Promise<number[]> {
  return new Promise((resolve) => {
    const stop = consumer.on('consumer.group_join', ({ payload }) => {
      const partitions = Object.values(payload.memberAssignment).flat()
      if (partitions.length !== count) return
      stop()
      resolve(partitions)
    })
  })
}

/** Looks again whenever one of the consumers has handled a batch. */
async function until(condition: () => boolean, ...consumers: Consumer[]): Promise<void> {
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (condition()) resolve()
    }
    for (const consumer of consumers) consumer.on('consumer.end_batch_process', look)
    look()
  })
}

async function partitionOffsets(topic: string) {
  return (await admin.fetchTopicOffsets(topic)).find(({ partition }) => partition === 0)
}

async function committedOffset(groupId: string, topic: string): Promise<string | undefined> {
  const [fetched] = await admin.fetchOffsets({ groupId, topics: [topic] })
  return fetched?.partitions.find(({ partition }) => partition === 0)?.offset
}

async function storedUpTo(topic: string, high: string): Promise<void> {
  while ((await partitionOffsets(topic))?.high !== high);
}

function values(records: Consumed[]): string[] {
  return records.map(({ value }) => String(value))
}

function numbers(from: number, below: number): string[] {
  return Array.from({ length: below - from }, (_, index) => String(from + index))
}
