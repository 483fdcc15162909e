import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel, Partitioners, type Producer } from 'kafkajs'
import t, { type Test } from 'tap'
import { runBroker, startBroker, type TestBroker } from '../support/broker.ts'

t.test('kill -9 while producing loses no acknowledged record and no committed offset', async (t) => {
  const broker = await startBroker(t)
  const { admin } = await clients(t, broker)
  await admin.createTopics({ topics: [{ topic: 'kept', numPartitions: 2 }] })
  const acknowledged = new Map<string, string>()
  for (let life = 1; life <= 3; life += 1) {
    const { producer } = await clients(t, broker)
    const { producer: other } = await clients(t, broker)
    let killed: Promise<unknown> | undefined
    const killWhenEnough = (): void => {
      if (acknowledged.size >= 300 * life) killed ??= broker.kill('SIGKILL')
    }
    // Two at once, so that one of them has a send under way when the other has seen enough.
    await Promise.all([
      produceUntilRefused(producer, 'kept', `life-${life}`, acknowledged, killWhenEnough),
      produceUntilRefused(other, 'kept', `life-${life}-other`, acknowledged, killWhenEnough),
    ])
    await killed
    await broker.restart()
  }
  const stored = await readAll(t, broker, 'kept')
  const lost = [...acknowledged].filter(([place, value]) => stored.get(place) !== value)
  t.same(lost, [])

  const committed = () => admin.fetchOffsets({ groupId: 'reader', topics: ['kept'] })
  const before = await committed()
  t.not(before[0]?.partitions[0]?.offset, '-1')
  await broker.restart()
  t.same(await committed(), before)
})

t.test('an idempotent producer goes on over a kill -9 with neither a gap nor a repeat', async (t) => {
  const broker = await startBroker(t)
  const kafka = new Kafka({ brokers: broker.brokers, logLevel: logLevel.NOTHING, retry: { retries: 20 } })
  const producer = kafka.producer({ idempotent: true, createPartitioner: Partitioners.DefaultPartitioner })
  await producer.connect()
  t.teardown(() => producer.disconnect())
  const { admin } = await clients(t, broker)
  await admin.createTopics({ topics: [{ topic: 'in-order', numPartitions: 1 }] })
  const expected = Array.from({ length: 30 }, (_, index) => String(index))
  for (const value of expected) {
    const sent = producer.send({ topic: 'in-order', messages: [{ value }] })
    if (Number(value) % 10 === 5) await broker.restart()
    await sent
  }
  t.same([...(await readAll(t, broker, 'in-order')).values()], expected)
})

t.test('a torn end of a partition is cut off, and the log goes on behind the last whole batch', async (t) => {
  const broker = await startBroker(t)
  const { producer, admin } = await clients(t, broker)
  await admin.createTopics({ topics: [{ topic: 'torn', numPartitions: 1 }] })
  await producer.send({ topic: 'torn', messages: [{ value: 'a' }, { value: 'b' }] })
  const path = join(broker.dataDir, 'topics', 'torn', '0.log')
  const whole = await readFile(path)
  const flipped = Buffer.from(whole)
  flipped[flipped.length - 1]! ^= 1

  for (const [name, tail] of [
    ['half a header', whole.subarray(0, 30)],
    ['half a batch', whole.subarray(0, whole.length - 1)],
    ['a batch with a wrong checksum', flipped],
    ['zeros', Buffer.alloc(5000)],
    ['the same batch again', whole],
  ] as const) {
    await broker.kill('SIGKILL')
    await appendFile(path, tail)
    await broker.restart()
    t.match(await admin.fetchTopicOffsets('torn'), [{ high: '2' }], name)
    t.equal((await stat(path)).size, whole.length)
    t.match(broker.errors, /cut a torn end of \d+ bytes off/)
  }
  const { producer: next } = await clients(t, broker)
  t.match(await next.send({ topic: 'torn', messages: [{ value: 'c' }] }), [{ baseOffset: '2' }])
  t.same([...(await readAll(t, broker, 'torn')).values()], ['a', 'b', 'c'])
})

t.test('partitions, low watermarks and deletions outlive kill -9', async (t) => {
  const broker = await startBroker(t)
  const { producer, admin } = await clients(t, broker)
  await admin.createTopics({ topics: [{ topic: 'stays', numPartitions: 2 }, { topic: 'goes' }] })
  await producer.send({ topic: 'stays', messages: ['a', 'b', 'c'].map((value) => ({ value, partition: 0 })) })
  await admin.createPartitions({ topicPartitions: [{ topic: 'stays', count: 3 }] })
  await admin.fetchTopicOffsets('stays')
  await admin.deleteTopicRecords({ topic: 'stays', partitions: [{ partition: 0, offset: '2' }] })
  await admin.deleteTopics({ topics: ['goes'] })
  await broker.restart()
  t.same(await admin.listTopics(), ['stays'])
  const offsets = await admin.fetchTopicOffsets('stays')
  t.match(
    offsets.sort((one, other) => one.partition - other.partition),
    [{ low: '2', high: '3' }, { low: '0', high: '0' }, { high: '0' }],
  )
})

t.test('a torn last line of the committed offsets is dropped, and the others stay', async (t) => {
  const broker = await startBroker(t)
  const { producer, admin } = await clients(t, broker)
  await producer.send({ topic: 'lines', messages: [{ value: 'a', partition: 0 }] })
  await readAll(t, broker, 'lines')
  await broker.kill('SIGKILL')
  await appendFile(join(broker.dataDir, 'committed-offsets.jsonl'), '["reader","lines",0,77')
  await broker.restart()
  const [fetched] = await admin.fetchOffsets({ groupId: 'reader', topics: ['lines'] })
  t.equal(fetched?.partitions.find(({ partition }) => partition === 0)?.offset, '1')
})

t.test('SIGTERM ends the broker with 0, and leaves a folder that the next one opens', async (t) => {
  const broker = await startBroker(t)
  const { producer } = await clients(t, broker)
  await producer.send({ topic: 'ended', messages: [{ value: 'a', partition: 0 }] })
  t.equal(await broker.kill('SIGTERM'), 0)
  t.notOk((await readdir(broker.dataDir)).includes('lock'))
  await broker.restart()
  t.same([...(await readAll(t, broker, 'ended')).values()], ['a'])
})

t.test('a start that cannot be is refused with one sentence', async (t) => {
  const broker = await startBroker(t)
  const empty = await folder(t)
  const refused = async (args: string[], sentence: RegExp, environment?: Record<string, string>) => {
    const { code, output, errors } = await runBroker(args, environment)
    t.match({ code, output }, { code: 2, output: '' }, args.join(' '))
    t.match(errors, sentence)
    t.equal(errors.trimEnd().split('\n').length, 1, 'in one line')
  }
  await refused(['--port', '0', '--data', broker.dataDir], /is in use by the broker with process id \d+\.$/m)
  await refused(['--port', String(broker.port), '--data', empty], /^Port \d+ on 127\.0\.0\.1 is taken/)
  await refused(['--port', '0', '--data', empty], /does not start under NODE_ENV=production/, {
    NODE_ENV: 'production',
  })
  await refused(['--port', '0'], /^--data must name the folder/)
  await refused(['--port', '70000', '--data', empty], /^--port must be between 0 and 65535/)
  await refused(['--prot', '0', '--data', empty], /^Unknown option '--prot'/)

  const newer = await folder(t)
  await writeFile(join(newer, 'format'), 'development broker, format 2\n')
  await refused(['--port', '0', '--data', newer], /was written in "development broker, format 2"/)
  const strange = await folder(t)
  await writeFile(join(strange, 'thesis.doc'), 'do not touch')
  await refused(['--port', '0', '--data', strange], /holds other files/)
  t.same(await readdir(strange), ['thesis.doc'])
})

/** The admin waits for a broker that restarts; the producer gives up at once, so that a test sees what was refused. */
async function clients(t: Test, broker: TestBroker) {
  const { brokers } = broker
  const patient = new Kafka({ brokers, logLevel: logLevel.NOTHING, retry: { retries: 20 } })
  const impatient = new Kafka({ brokers, logLevel: logLevel.NOTHING, retry: { retries: 0 } })
  const producer = impatient.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  const admin = patient.admin()
  await Promise.all([producer.connect(), admin.connect()])
  t.teardown(() => Promise.all([producer.disconnect(), admin.disconnect()]))
  return { producer, admin }
}

/** Notes `partition/offset → value` for everything that is acknowledged; ends at the first send that is not. */
async function produceUntilRefused(
  producer: Producer,
  topic: string,
  prefix: string,
  acknowledged: Map<string, string>,
  onAcknowledged: () => void,
): Promise<void> {
  for (let turn = 0; ; turn += 1) {
    const messages = [0, 1].flatMap((partition) =>
      Array.from({ length: 5 }, (_, index) => ({
        value: `${prefix}-${turn}-${partition}-${index}`,
        partition,
      })),
    )
    const answers = await producer.send({ topic, messages }).catch(() => null)
    if (answers === null) return
    for (const { partition, baseOffset } of answers) {
      const sent = messages.filter((each) => each.partition === partition)
      for (const [index, { value }] of sent.entries()) {
        acknowledged.set(`${partition}/${Number(baseOffset) + index}`, value)
      }
    }
    onAcknowledged()
  }
}

/** Every record of a topic, as `partition/offset → value`, read and committed by the group `reader`. */
async function readAll(t: Test, broker: TestBroker, topic: string): Promise<Map<string, string>> {
  const kafka = new Kafka({ brokers: broker.brokers, logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  const consumer = kafka.consumer({ groupId: 'reader', maxWaitTimeInMs: 100 })
  await Promise.all([admin.connect(), consumer.connect()])
  t.teardown(() => Promise.all([admin.disconnect(), consumer.disconnect()]))
  const offsets = await admin.fetchTopicOffsets(topic)
  const count = offsets.reduce((sum, { high, low }) => sum + Number(high) - Number(low), 0)
  const records = new Map<string, string>()
  await consumer.subscribe({ topic, fromBeginning: true })
  await new Promise<void>((resolve, reject) => {
    consumer
      .run({
        eachMessage: async ({ partition, message }) => {
          records.set(`${partition}/${message.offset}`, String(message.value))
          if (records.size === count) resolve()
        },
      })
      .catch(reject)
  })
  await consumer.disconnect()
  return records
}

async function folder(t: Test): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'broker-'))
  t.teardown(() => rm(path, { recursive: true }))
  return path
}
