import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { startApacheKafka } from '../support/apache-kafka.ts'
import { findKafkaJars } from '../support/apache-kafka/jars.ts'
import { whyNoApacheKafka } from '../support/apache-kafka/missing.ts'
import { database } from '../support/database.ts'
import {
  countRecords,
  createTopic,
  findUnaccounted,
  names,
  produce,
  startConsumer,
  until,
  type TestTopic,
} from '../ingest/harness.ts'

const run = promisify(execFile)

const missing = await whyNoApacheKafka()
if (missing !== false) t.plan(0, missing)
else await testQuota()

async function testQuota(): Promise<void> {
  const kafka = await startApacheKafka(t)

  t.test(
    'a client that is held back by a quota stays in its group, lets others join, leaves at once, and says why it waits',
    { timeout: 110_000 },
    async (t) => {
      const { pool } = await database(t)
      const topic = await createTopic(t, kafka.brokers, 2)
      const consumer = startConsumer(t, topic, pool, { maxRecordBytes: 4 * 1024 * 1024 }, 'debug')
      for (const partition of [0, 1]) await produce(topic, partition, names(`before-${partition}`, 5))
      await until(async () => (await countRecords(pool, topic.topic)) === 10)
      // Kafka counts 11 s, and so holds back each fetch of such a record for some 25 s.
      await setQuota(['--add-config', 'consumer_byte_rate=30000'])
      const padding = 'x'.repeat(1024 * 1024)
      for (const partition of [0, 1])
        await produce(topic, partition, [
          Buffer.from(JSON.stringify({ transaction_id: `large-${partition}`, padding })),
        ])
      await until(() => consumer.health().waiting.length === 2)
      for (const { reason } of consumer.health().waiting)
        t.match(reason, /^Its leader, broker 1 at .*, holds this client back by a quota: .* for \d+ s\.$/)
      t.equal(await countMembers(topic), 1, 'it is still a member')

      const begunAt = performance.now()
      const late = startConsumer(t, topic, pool)
      await until(() => consumer.health().assigned.length === 1 && late.health().assigned.length === 1)
      await late.stop()
      await until(() => consumer.health().assigned.length === 2)
      const tookMs = performance.now() - begunAt
      t.ok(tookMs < 10_000, `another one came and went in ${Math.round(tookMs)} ms`)

      await setQuota(['--delete-config', 'consumer_byte_rate'])
      await until(async () => (await countRecords(pool, topic.topic)) === 12)
      await until(() => consumer.health().waiting.length === 0)
      t.strictSame(await findUnaccounted(pool, topic.topic), [])
      t.notOk(
        consumer.lines.some(({ message }) => /not aware/.test(String(message))),
        'it was never evicted',
      )
    },
  )

  /** For every client that has none of its own. */
  async function setQuota(change: string[]): Promise<void> {
    const [broker = ''] = kafka.brokers
    const tool = ['kafka.admin.ConfigCommand', '--bootstrap-server', broker, '--alter']
    const clients = ['--entity-type', 'clients', '--entity-default']
    await run('java', [
      '-XX:TieredStopAtLevel=1',
      '-cp',
      await findKafkaJars(),
      ...tool,
      ...clients,
      ...change,
    ])
  }
}

async function countMembers({ admin, groupId }: TestTopic): Promise<number> {
  const { groups } = await admin.describeGroups([groupId])
  return groups[0]?.members.length ?? 0
}
