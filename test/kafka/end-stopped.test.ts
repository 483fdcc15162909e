import { createRequire } from 'node:module'
import t from 'tap'
import { countRecords, createTopic, produce, startConsumer, until } from '../ingest/harness.ts'
import { database } from '../support/database.ts'
import { startKafka } from '../support/kafka.ts'

type Cluster = { getNodeIds: (this: Cluster) => string[] }
type Runner = { stop: (this: Runner) => Promise<void> }

const load = createRequire(import.meta.url)
const { prototype: cluster } = load('kafkajs/src/cluster/index.js') as { prototype: Cluster }
const { prototype: runner } = load('kafkajs/src/consumer/runner.js') as { prototype: Runner }

const brokers = await startKafka(t)

t.test('a consumer stops although the brokers have changed just before', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, brokers, 2)
  const consumer = startConsumer(t, topic, pool)
  for (const partition of [0, 1]) await produce(topic, partition, [`${partition}`])
  await until(async () => (await countRecords(pool, topic.topic)) === 2)
  // One fetcher has a batch in hand that waits for a lock…
  const blocker = await pool.connect()
  await blocker.query('begin')
  await blocker.query('select from partitions where partition = 1 for update')
  await produce(topic, 1, ['waits'])
  await until(async () => {
    const { rows } = await pool.query(
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    )
    return rows.length === 1
  })
  // …while the other notices that there is another broker, and waits for the first: kafkajs then makes other fetchers…
  const { getNodeIds } = cluster
  t.teardown(() => (cluster.getNodeIds = getNodeIds))
  await new Promise<void>((noticed) => {
    cluster.getNodeIds = function () {
      noticed()
      return [...getNodeIds.call(this), '99']
    }
  })
  // …and meanwhile the consumer stops.
  const { stop } = runner
  t.teardown(() => (runner.stop = stop))
  const stopping = new Promise<void>((begun) => {
    runner.stop = function () {
      const stopped = stop.call(this)
      begun()
      return stopped
    }
  })
  const stopped = consumer.stop()
  await stopping
  await blocker.query('rollback')
  blocker.release()
  await stopped
  t.equal(await countRecords(pool, topic.topic), 3)
  t.equal(consumer.health().state, 'stopped')
})
