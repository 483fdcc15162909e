import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import t from 'tap'
import { produce } from '../../src/kafka/test-topic/produce.ts'
import { startKafkaPair } from '../support/kafka-pair.ts'
import { until } from '../support/until.ts'

const topic = 'moved'
const count = 6_000

t.test(
  'what is acknowledged is in Kafka, also when a leader is killed and the other takes over',
  async (t) => {
    const pair = await startKafkaPair(t)
    const client = new Kafka({ brokers: pair.brokers, logLevel: logLevel.NOTHING })
    await createTopic(client)
    const folder = await mkdtemp(join(tmpdir(), 'produce-'))
    t.teardown(() => rm(folder, { recursive: true }))
    const acksPath = join(folder, 'acks.jsonl')
    let killing: Promise<void> | undefined
    const produced = await produce({
      brokers: pair.brokers,
      topic,
      count,
      rate: null,
      prefix: null,
      acksPath,
      onProgress: (acknowledged) => {
        if (acknowledged >= 2_000) killing ??= pair.killSecond()
      },
    })
    await killing
    t.match(produced, { acknowledged: count, fault: null })

    const stored = await readAll(client)
    const lines = (await readFile(acksPath, 'utf8')).trimEnd().split('\n')
    t.equal(lines.length, count)
    const invented = lines.filter((line) => {
      const { partition, offset, sha256 } = JSON.parse(line) as Record<string, string | number>
      return stored.get(`${partition}/${offset}`) !== sha256
    })
    t.strictSame(invented.slice(0, 3), [], `${invented.length} of ${count} lines tell of no record`)
  },
)

/** Each broker leads two partitions and follows in the others. */
async function createTopic(client: Kafka): Promise<void> {
  const admin = client.admin()
  await admin.connect()
  const replicaAssignment = [0, 1, 2, 3].map((partition) => ({
    partition,
    replicas: partition % 2 === 0 ? [1, 2] : [2, 1],
  }))
  await until('both brokers to be known', async () => (await admin.describeCluster()).brokers.length === 2)
  await admin.createTopics({ topics: [{ topic, replicaAssignment }], waitForLeaders: false })
  await until(
    'the topic to have its leaders',
    async () => (await admin.fetchTopicOffsets(topic)).length === 4,
  )
  await admin.disconnect()
}

/** The hash of every record of the topic, by its place. */
async function readAll(client: Kafka): Promise<Map<string, string>> {
  const admin = client.admin()
  await admin.connect()
  const ends = await admin.fetchTopicOffsets(topic)
  await admin.disconnect()
  const wanted = ends.reduce((sum, { high }) => sum + Number(high), 0)
  const consumer = client.consumer({ groupId: 'all' })
  const stored = new Map<string, string>()
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    eachMessage: ({ partition, message }) => {
      stored.set(`${partition}/${message.offset}`, createHash('sha256').update(message.value!).digest('hex'))
      return Promise.resolve()
    },
  })
  await until('all records to be read', () => stored.size >= wanted)
  await consumer.disconnect()
  return stored
}
