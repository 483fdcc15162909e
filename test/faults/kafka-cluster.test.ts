import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { startApacheKafkaCluster, type ClusterNode } from '../support/apache-kafka-cluster.ts'
import { whyNoApacheKafka } from '../support/apache-kafka/missing.ts'
import { database } from '../support/database.ts'
import { until } from '../support/until.ts'
import {
  countRecords,
  createClient,
  findUnaccounted,
  names,
  produce,
  startConsumer,
  waitForLine,
  type TestConsumer,
  type TestTopic,
} from '../ingest/harness.ts'

// The sum of what the tests may take.
t.setTimeout(900_000)

const missing = await whyNoApacheKafka()
if (missing !== false) t.pass(`left out: ${missing}`, { skip: missing })
else await testCluster()

async function testCluster(): Promise<void> {
  const cluster = await startApacheKafkaCluster(t, { 'min.insync.replicas': '1' })
  const [one] = cluster.nodes as [ClusterNode]

  await t.test(
    'a partition that answers with an error stops, and the others of its broker go on',
    { timeout: 150_000 },
    async (t) => {
      const { pool } = await database(t)
      // All of it comes in the same answer.
      const topic = await createPlacedTopic(t, [[one], [one], [one]])
      for (const partition of [0, 1, 2]) await produce(topic, partition, names(`before-${partition}`, 5))
      await damage(one, topic.topic, 1)
      const consumer = startConsumer(t, topic, pool)
      const line = await waitForLine(consumer, 'partition stopped')
      t.match(line, { partition: 1, reason: /at offset 0 \(CORRUPT_MESSAGE\).*--retry/ })
      for (const partition of [0, 2]) await produce(topic, partition, names(`behind-${partition}`, 5))
      await until(
        'the other partitions to be stored',
        async () => (await countRecords(pool, topic.topic)) === 20,
      )
      await until(
        'the stop to be stored',
        async () => (await pool.query('select from stopped_partitions')).rowCount === 1,
      )
      t.match(consumer.health(), { state: 'running', up: true, waiting: [] })
      t.strictSame(crashes(consumer), [])
    },
  )

  await t.test(
    'a partition without a leader waits for it, and the others go on',
    { timeout: 150_000 },
    async (t) => {
      const { pool } = await database(t)
      const down = await findBystander()
      const others = cluster.nodes.filter((node) => node !== down)
      const topic = await createPlacedTopic(t, [
        [down],
        [down],
        ...others.flatMap((node) => [[node], [node]]),
      ])
      for (const partition of [0, 2, 4]) await produce(topic, partition, names(`before-${partition}`, 5))
      const consumer = startConsumer(t, topic, pool)
      await until('all to be stored', async () => (await countRecords(pool, topic.topic)) === 15)
      await down.kill('SIGKILL')
      const producer = await startProducer(t, others)
      const produceToOthers = async (prefix: string): Promise<void> => {
        for (const partition of [2, 3, 4, 5])
          await produce({ ...topic, producer }, partition, names(`${prefix}-${partition}`, 5))
      }
      await produceToOthers('behind')
      await until('the others to be stored', async () => (await countRecords(pool, topic.topic)) === 35)
      await until('both to be shown', () => waitingFor(consumer, /no leader/).join() === '0,1')
      await produceToOthers('later')
      await until('the others to be read on', async () => (await countRecords(pool, topic.topic)) === 55)
      t.match(consumer.health(), { state: 'running', up: true })
      t.strictSame(await lags(consumer), ['2', '3', '4', '5'], 'no lag is told of what nobody can ask')

      // One that comes now has never read any of it.
      const late = startConsumer(t, { ...topic, groupId: `late-${topic.groupId}` }, (await database(t)).pool)
      await until('both to be shown', () => waitingFor(late, /no leader/).join() === '0,1')
      await until('the others to be read', async () => (await lags(late)).join() === '2,3,4,5')
      await late.stop()

      await down.restart()
      await cluster.isWhole(topic.topic)
      await produce(topic, 1, names('back', 5))
      await until('the rest to be stored', async () => (await countRecords(pool, topic.topic)) === 60)
      await until('nothing to wait', () => consumer.health().waiting.length === 0)
      t.strictSame(crashes(consumer), [])
      t.strictSame(await findUnaccounted(pool, topic.topic), [])
    },
  )

  await t.test(
    'a leader is killed: what was acknowledged is stored, each record once',
    { timeout: 150_000 },
    async (t) => {
      const { pool } = await database(t)
      const leader = await findBystander()
      const topic = await createPlacedTopic(t, ledBy(leader))
      const consumer = startConsumer(t, topic, pool)
      await produce(topic, 0, names('before', 5))
      await until('the first to be stored', async () => (await countRecords(pool, topic.topic)) === 5)
      const producer = await startProducer(t, cluster.nodes)
      const acknowledged: string[] = names('before', 5)
      const over = new AbortController()
      const producing = (async () => {
        for (let at = 0; !over.signal.aborted; at++) {
          const name = `after-${at}`
          const sent = produce({ ...topic, producer }, at % 3, [name])
          await sent.then(() => acknowledged.push(name)).catch(() => undefined)
        }
      })()
      await leader.kill('SIGKILL')
      const before = acknowledged.length
      await until('another leader to acknowledge', () => acknowledged.length > before + 50)
      over.abort()
      await producing
      const stored = async () => new Set((await readIds(pool, topic.topic)).map((id) => id))
      await until('all that was acknowledged to be stored', async () => {
        const found = await stored()
        return acknowledged.every((name) => found.has(name))
      })
      t.ok(consumer.health().up)
      t.strictSame(await findUnaccounted(pool, topic.topic), [])
      await leader.restart()
      await cluster.isWhole(topic.topic)
    },
  )

  await t.test(
    'a partition that is led by another broker while it is not asked for has its last record checked',
    { timeout: 150_000 },
    async (t) => {
      const { pool } = await database(t)
      const [from, to, third] = cluster.nodes as [ClusterNode, ClusterNode, ClusterNode]
      // The first and the last have the same fetcher, which so is connected to both brokers before.
      const topic = await createPlacedTopic(t, [
        [from, to],
        [from, to],
        [third, to],
        [third, to],
        [to, third],
      ])
      const consumer = startConsumer(t, topic, pool, {}, 'debug')
      for (const partition of [0, 1, 2, 3, 4])
        await produce(topic, partition, names(`before-${partition}`, 5))
      await until('the first to be stored', async () => (await countRecords(pool, topic.topic)) === 25)
      const blocker = await pool.connect()
      await blocker.query('begin')
      await blocker.query('select from partitions where partition = 0 for update')
      await produce(topic, 0, names('slow', 5))
      await until('the slice to wait', () => isBlocked(pool))
      await topic.admin.alterPartitionReassignments({
        topics: [
          {
            topic: topic.topic,
            partitionAssignment: [0, 1].map((partition) => ({ partition, replicas: [to.nodeId] })),
          },
        ],
      })
      const led = async () => (await cluster.findLeader(topic.topic, 1)) === to
      await until('another leader', led)
      // The other one's fetch is refused by the former leader: so the client asks who leads.
      await produce(topic, 1, names('moved', 5))
      await until('the other to be read on', async () => (await countRecords(pool, topic.topic)) === 30)
      const isChecked = () =>
        consumer.lines.some(({ partition, skipped }) => partition === 0 && skipped === 1)
      const pointless = consumer.lines.filter(({ message }) => /^Filtering out/.test(String(message)))
      t.ok(pointless.length < 3, `${pointless.length} answers thrown away`)
      await blocker.query('rollback')
      blocker.release()
      await produce(topic, 0, names('after', 5))
      await until('all to be stored', async () => (await countRecords(pool, topic.topic)) === 40)
      await until('its last record to be checked', isChecked, 5_000)
      t.notOk(
        consumer.lines.some(({ event }) => event === 'partition held'),
        'the slice did not fail meanwhile',
      )
      t.strictSame(crashes(consumer), [])
      t.strictSame(await findUnaccounted(pool, topic.topic), [])
    },
  )

  await t.test(
    'a leader freezes: its partitions are read from the next ones while it is frozen',
    { timeout: 150_000 },
    async (t) => {
      const { pool } = await database(t)
      const leader = await findBystander()
      const topic = await createPlacedTopic(t, ledBy(leader))
      const consumer = startConsumer(t, topic, pool)
      for (const partition of [0, 1, 2]) await produce(topic, partition, names(`before-${partition}`, 5))
      await until('the first to be stored', async () => (await countRecords(pool, topic.topic)) === 15)
      await freeze(t, leader)
      const producer = await startProducer(
        t,
        cluster.nodes.filter((node) => node !== leader),
      )
      for (const partition of [0, 1, 2])
        await until('another leader', () =>
          isProduced({ ...topic, producer }, partition, names(`after-${partition}`, 5)),
        )
      const frozenAt = performance.now()
      await until('the rest to be stored', async () => (await countRecords(pool, topic.topic)) >= 30, 60_000)
      t.comment(`read ${Math.round(performance.now() - frozenAt)} ms after another broker took records`)
      t.ok(consumer.health().up)
      t.strictSame(crashes(consumer), [])
      await leader.kill('SIGCONT')
      await cluster.isWhole(topic.topic)
      t.strictSame(await findUnaccounted(pool, topic.topic), [])
    },
  )

  await t.test(
    'a leader without a replica freezes: its partitions are shown, and the others go on',
    { timeout: 150_000 },
    async (t) => {
      const { pool } = await database(t)
      const leader = await findBystander()
      const other = cluster.nodes.find((node) => node !== leader)!
      const topic = await createPlacedTopic(t, [[leader], [other]])
      const consumer = startConsumer(t, topic, pool)
      for (const partition of [0, 1]) await produce(topic, partition, names(`before-${partition}`, 5))
      await until('the first to be stored', async () => (await countRecords(pool, topic.topic)) === 10)
      await freeze(t, leader)
      await until('it to be shown', () => waitingFor(consumer, /./).join() === '0')
      const producer = await startProducer(
        t,
        cluster.nodes.filter((node) => node !== leader),
      )
      await produce({ ...topic, producer }, 1, names('behind', 5))
      await until('the other to be stored', async () => (await countRecords(pool, topic.topic)) === 15)
      t.strictSame(await lags(consumer), ['1'])
      await leader.kill('SIGCONT')
      await cluster.isWhole(topic.topic)
      await produce(topic, 0, names('back', 5))
      await until('the rest to be stored', async () => (await countRecords(pool, topic.topic)) === 20)
      await until('nothing to wait', () => consumer.health().waiting.length === 0)
      t.strictSame(crashes(consumer), [])
    },
  )

  await t.test(
    'the coordinator freezes: all go on, and one that comes now joins',
    { timeout: 150_000 },
    async (t) => {
      const { pool } = await database(t)
      const coordinator = await cluster.findCoordinator()
      const [next, last] = cluster.nodes.filter((node) => node !== coordinator) as [ClusterNode, ClusterNode]
      const topic = await createPlacedTopic(t, [
        [next, last],
        [last, next],
      ])
      const consumer = startConsumer(t, topic, pool)
      for (const partition of [0, 1]) await produce(topic, partition, names(`before-${partition}`, 5))
      await until('the first to be stored', async () => (await countRecords(pool, topic.topic)) === 10)
      const producer = await startProducer(t, [next, last])
      await freeze(t, coordinator)
      for (const partition of [0, 1])
        await until('it to be produced', () =>
          isProduced({ ...topic, producer }, partition, names(`after-${partition}`, 5)),
        )
      await until('the rest to be stored', async () => (await countRecords(pool, topic.topic)) === 20, 60_000)
      const late = startConsumer(t, topic, pool)
      await until(
        'both to have one',
        () => consumer.health().assigned.length === 1 && late.health().assigned.length === 1,
      )
      await until('both to be up', () => consumer.health().up && late.health().up)
      for (const partition of [0, 1])
        await produce({ ...topic, producer }, partition, names(`shared-${partition}`, 5))
      await until('all to be stored', async () => (await countRecords(pool, topic.topic)) === 30)
      await coordinator.kill('SIGCONT')
      await cluster.isWhole(topic.topic)
      t.strictSame(await findUnaccounted(pool, topic.topic), [])
    },
  )

  /** A node that does not coordinate the groups, so that only its partitions are the matter. */
  async function findBystander(): Promise<ClusterNode> {
    const coordinator = await cluster.findCoordinator()
    return cluster.nodes.find((node) => node !== coordinator)!
  }

  /** Three partitions, the first two of one leader, with a replica on every node. */
  function ledBy(leader: ClusterNode): ClusterNode[][] {
    const [next, last] = cluster.nodes.filter((node) => node !== leader) as [ClusterNode, ClusterNode]
    return [
      [leader, next, last],
      [leader, last, next],
      [next, leader, last],
    ]
  }

  /** @param replicas of each partition, the leader first */
  async function createPlacedTopic(t: Test, replicas: ClusterNode[][]): Promise<TestTopic> {
    const topic = `cluster-${randomBytes(6).toString('hex')}`
    const admin = createClient(cluster.brokers).admin()
    const producer = createClient(cluster.brokers).producer()
    await Promise.all([admin.connect(), producer.connect()])
    t.teardown(() => Promise.all([admin.disconnect(), producer.disconnect()]))
    const replicaAssignment = replicas.map((nodes, partition) => ({
      partition,
      replicas: nodes.map(({ nodeId }) => nodeId),
    }))
    await until('the topic', async () => {
      await admin.createTopics({ topics: [{ topic, replicaAssignment }] })
      return true
    })
    for (const partition of replicas.keys())
      await until(
        'a leader',
        async () => (await cluster.findLeader(topic, partition)) === replicas[partition]![0],
      )
    return { brokers: cluster.brokers, topic, groupId: `group-${topic}`, producer, admin }
  }
}

async function startProducer(t: Test, nodes: readonly ClusterNode[]): Promise<TestTopic['producer']> {
  const producer = createClient(nodes.flatMap(({ brokers }) => brokers)).producer()
  await producer.connect()
  t.teardown(() => producer.disconnect())
  return producer
}

async function isProduced(
  topic: Parameters<typeof produce>[0],
  partition: number,
  values: string[],
): Promise<boolean> {
  await produce(topic, partition, values)
  return true
}

/** Until it is thawed, or the test is over: the next one needs it. */
async function freeze(t: Test, node: ClusterNode): Promise<void> {
  t.teardown(() => node.kill('SIGCONT'))
  await node.kill('SIGSTOP')
}

/** Makes the length of a partition's first batch zero on the disk of its leader. */
async function damage(leader: ClusterNode, topic: string, partition: number): Promise<void> {
  const segment = await open(
    join(leader.dataDir, 'logs', `${topic}-${partition}`, '00000000000000000000.log'),
    'r+',
  )
  await segment.write(Buffer.alloc(4), 0, 4, 8)
  await segment.close()
}

async function isBlocked(pool: Awaited<ReturnType<typeof database>>['pool']): Promise<boolean> {
  const { rowCount } = await pool.query(
    `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
  )
  return rowCount === 1
}

function waitingFor(consumer: TestConsumer, reason: RegExp): number[] {
  return consumer
    .health()
    .waiting.filter((each) => reason.test(each.reason))
    .map(({ partition }) => partition)
}

function crashes({ lines }: TestConsumer): unknown[] {
  return lines.filter(({ event }) => event === 'consumer crashed')
}

/** The partitions whose lag is told. */
async function lags({ metrics }: TestConsumer): Promise<string[]> {
  const { values } = await metrics.consumerLag.get()
  return values.map(({ labels }) => String(labels.partition)).sort()
}

async function readIds(pool: Awaited<ReturnType<typeof database>>['pool'], topic: string): Promise<string[]> {
  const { rows } = await pool.query<{ transaction_id: string }>(
    `select distinct transaction_id from message_events where topic = $1`,
    [topic],
  )
  return rows.map((row) => row.transaction_id)
}
