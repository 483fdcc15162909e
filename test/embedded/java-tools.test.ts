import { execFile } from 'node:child_process'
import { Kafka, logLevel, type Consumer } from 'kafkajs'
import t from 'tap'
import { findKafkaJars } from '../support/apache-kafka/jars.ts'
import { whyNoApacheKafka } from '../support/apache-kafka/missing.ts'
import { startBroker } from '../support/broker.ts'

// The tools that Kafka brings, as an operator types them, against the development broker.

t.test('Apache Kafka’s own tools', { skip: await whyNoApacheKafka() }, async (t) => {
  const broker = await startBroker(t)
  const classPath = await findKafkaJars()
  const kafka = new Kafka({ brokers: broker.brokers, logLevel: logLevel.NOTHING })

  // As Kafka's scripts set the log, which would else tell every setting of the client.
  const flagsOfJava = [
    '-Xshare:auto',
    '-XX:TieredStopAtLevel=1',
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
  ]
  const run = (tool: string, ...flags: string[]): Promise<string> =>
    new Promise((resolve) => {
      const args = [...flagsOfJava, '-cp', classPath, tool, '--bootstrap-server', broker.brokers.join(',')]
      execFile('java', [...args, ...flags], (_, stdout, stderr) => resolve(stdout + stderr))
    })
  const topics = (...flags: string[]) => run('org.apache.kafka.tools.TopicCommand', ...flags)
  const groups = (...flags: string[]) =>
    run('org.apache.kafka.tools.consumer.group.ConsumerGroupCommand', ...flags)

  await t.test('kafka-topics makes, lists, describes and alters a topic', async (t) => {
    t.match(await topics('--create', '--topic', 'made', '--partitions', '2'), /^Created topic made\.$/m)
    t.match(await topics('--list'), /^made$/m)
    const described = await topics('--describe', '--topic', 'made')
    t.match(described, /Topic: made\s.*PartitionCount: 2\s+ReplicationFactor: 1\s+Configs:/)
    t.match(described, /Topic: made\s+Partition: 1\s+Leader: 0\s+Replicas: 0\s+Isr: 0/)
    t.notMatch(described, /Error|Exception/)
    t.equal(await topics('--alter', '--topic', 'made', '--partitions', '4'), '')
    t.match(await topics('--describe', '--topic', 'made'), /PartitionCount: 4/)
  })

  await t.test('kafka-configs shows how a topic is kept', async (t) => {
    const shown = await run('kafka.admin.ConfigCommand', '--describe', '--all', '--topic', 'made')
    t.match(shown, /cleanup\.policy=delete/)
    t.match(shown, /retention\.ms=-1/)
  })

  await t.test('what the broker cannot promise is refused with a sentence', async (t) => {
    t.match(
      await topics('--create', '--topic', 'safe', '--replication-factor', '3'),
      /The development broker is one node and keeps one replica, not 3\./,
    )
    t.match(
      await topics('--create', '--topic', 'small', '--config', 'cleanup.policy=compact'),
      /The development broker has cleanup\.policy=delete only, not compact\./,
    )
    t.match(
      await topics('--create', '--topic', 'short', '--config', 'retention.ms=60000'),
      /The development broker has retention\.ms=-1 only, not 60000\./,
    )
    t.notMatch(await topics('--list'), /safe|small|short/)
    t.match(
      await topics('--create', '--topic', 'kept', '--config', 'retention.ms=-1'),
      /^Created topic kept\.$/m,
      'what it does anyway may be asked for',
    )
  })

  await t.test('kafka-consumer-groups tells the state, the members and the lag of a group', async (t) => {
    const producer = kafka.producer()
    await producer.connect()
    await producer.send({ topic: 'made', messages: [{ value: 'a', partition: 0 }] })
    await producer.disconnect()
    const consumer = kafka.consumer({ groupId: 'readers' })
    t.teardown(() => consumer.disconnect())
    await read(consumer)
    t.match(await groups('--list', '--state'), /^readers +Stable *$/m)
    t.match(await groups('--describe', '--state', '--group', 'readers'), /^readers\s.*Stable\s+1$/m)
    t.match(await groups('--describe', '--group', 'readers'), /^readers\s+made\s+0\s+1\s+1\s+0/m)
    await consumer.disconnect()
    t.match(await groups('--list', '--state'), /^readers +Empty *$/m)
  })

  await t.test(
    'kafka-get-offsets tells the ends, and is refused the record of the highest time',
    async (t) => {
      const offsets = (time: string) =>
        run('org.apache.kafka.tools.GetOffsetShell', '--topic', 'made', '--time', time)
      t.match(await offsets('-1'), /^made:0:1$/m)
      t.match(await offsets('-2'), /^made:0:0$/m)
      const highest = await offsets('-3')
      t.notMatch(highest, /^made:0:\d/m)
      t.match(highest, /UnsupportedVersion|not support/i)
    },
  )

  /** Until a record was read and its offset is committed. */
  async function read(consumer: Consumer): Promise<void> {
    await consumer.connect()
    await consumer.subscribe({ topic: 'made', fromBeginning: true })
    const committed = new Promise<void>((resolve) =>
      consumer.on(consumer.events.COMMIT_OFFSETS, () => resolve()),
    )
    await consumer.run({ autoCommitThreshold: 1, eachMessage: () => Promise.resolve() })
    await committed
  }
})
