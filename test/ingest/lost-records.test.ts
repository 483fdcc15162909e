import t, { type Test } from 'tap'
import { decidePartition, type PartitionDecision } from '../../src/log/write/decide-partition.ts'
import { verify } from '../../src/verify/verify.ts'
import { database } from '../support/database.ts'
import { startKafka } from '../support/kafka.ts'
import {
  countRecords,
  createTopic,
  findUnaccounted,
  names,
  produce,
  readRecords,
  startConsumer,
  unreadLagsOf,
  until,
  waitForLine,
  type TestConsumer,
  type TestTopic,
} from './harness.ts'

type Pool = Parameters<typeof countRecords>[0]

const brokers = await startKafka(t)

t.test(
  'retention overtakes an idle partition: it stops at once, and goes on once the gap is accepted',
  async (t) => {
    const { url, pool } = await database(t)
    const topic = await createTopic(t, brokers, 2)
    const first = await storeThenStop(t, topic, pool, 10)
    await produce(topic, 0, names('lost', 10))
    // Nothing is left behind the gap, so that no batch will ever come to be judged.
    await deleteBelow(topic, 20)
    const consumer = startConsumer(t, topic, pool)
    t.match(await waitForLine(consumer, 'partition stopped', { partition: 0 }), {
      next_offset: 10,
      reason: /next offset is 10, .* first offset is 20: .*offsets 10 to 19\. .*--partition 0 --accept-gap/,
    })
    await isStopped(pool)
    await produce(topic, 0, names('behind', 5))
    await produce(topic, 1, names('other', 5))
    await until(async () => (await countRecords(pool, topic.topic)) === 25)

    t.strictSame(await decide(topic, pool, 'gap_accepted'), { kind: 'decided', stoodAt: 10n, goesOnAt: 20n })
    consumer.decisions.give()
    await until(async () => (await countRecords(pool, topic.topic)) === 30)
    t.match(await waitForLine(consumer, 'partition continues'), { partition: 0, next_offset: 20 })
    t.strictSame(await readStopped(pool), [])
    const { rows } = await pool.query(
      `select d.type, d.actor, d.reason, d.next_offset::int, d.resume_offset::int from partition_decisions d order by decision`,
    )
    t.match(rows, [
      { type: 'stopped', actor: /\/ingest$/ },
      {
        type: 'gap_accepted',
        actor: 'alice',
        reason: 'the archive has them',
        next_offset: 10,
        resume_offset: 20,
      },
    ])
    const { invariants } = await verify({ databaseUrl: url, ledgerPath: null, acksPath: null })
    for (const { id, differences } of invariants)
      if (id === 'S2' || id === 'S12') t.equal(differences, 0, `${id} accounts for the gap`)
    isUndisturbed(t, first, consumer)
  },
)

t.test(
  'a topic that was deleted while it was read, and created anew and empty, stops the partition',
  async (t) => {
    const { pool } = await database(t)
    const topic = await createTopic(t, brokers, 1)
    const consumer = startConsumer(t, topic, pool)
    await produce(topic, 0, names('a', 10))
    await until(async () => (await countRecords(pool, topic.topic)) === 10)
    await createAnew(topic)
    await until(async () => (await readStopped(pool)).length === 1)
    t.match(await readStopped(pool), [{ reason: /next offset is 10, .* ends at 0: .*--new-incarnation/ }])
    t.strictSame(await decide(topic, pool, 'gap_accepted'), { kind: 'beyond', stoodAt: 10n, goesOnAt: 10n })

    t.match(await decide(topic, pool, 'incarnation_begun'), { kind: 'decided', goesOnAt: 0n })
    consumer.decisions.give()
    await produce(topic, 0, ['a-9', 'new'])
    await until(async () => (await countRecords(pool, topic.topic)) === 12)
    t.strictSame(await readLives(pool, topic.topic, 9), [
      { incarnation: 1, offset: 9, type: 'received', transaction_id: 'a-9' },
      { incarnation: 2, offset: 0, type: 'duplicate_received', transaction_id: null },
      { incarnation: 2, offset: 1, type: 'received', transaction_id: 'new' },
    ])
  },
)

t.test(
  'a topic that was created anew and filled past the next offset stops before anything is passed over',
  async (t) => {
    const { pool } = await database(t)
    const topic = await createTopic(t, brokers, 2)
    await storeThenStop(t, topic, pool, 10)
    await createAnew(topic)
    await produce(topic, 0, [...names('new', 9), Buffer.from('no json'), ...names('more', 10)])
    const consumer = startConsumer(t, topic, pool)
    await until(async () => (await readStopped(pool)).length === 2)
    t.match(await readStopped(pool), [
      {
        partition: 0,
        reason: /record at offset 9 is not the one that was stored .*next offset 10 .*--new-incarnation/,
      },
      { partition: 1, reason: /next offset is 10, .* ends at 0/ },
    ])
    t.equal(await countRecords(pool, topic.topic), 20, 'nothing of it is stored')
    t.match(await decide(topic, pool, 'gap_accepted'), { kind: 'no_gap', stoodAt: 10n })

    await decide(topic, pool, 'incarnation_begun')
    consumer.decisions.give()
    await until(async () => (await countRecords(pool, topic.topic)) === 40)
    const records = await readLives(pool, topic.topic, 0)
    t.equal(records.filter((each) => each.incarnation === 2 && each.type === 'received').length, 19)
    t.match(
      records.find((each) => each.type === 'rejected'),
      { incarnation: 2, offset: 9, transaction_id: `record:${topic.topic}:0:9:2` },
    )
    t.equal((await readStopped(pool)).length, 1, 'the other partition waits for a word of its own')
  },
)

t.test('a last record that was deleted, or lies below a gap, keeps nobody from going on', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, brokers, 1)
  const first = await storeThenStop(t, topic, pool, 10)
  // All that was stored is gone, and nothing that was not.
  await deleteBelow(topic, 10)
  const second = startConsumer(t, topic, pool)
  await produce(topic, 0, names('b', 5))
  await until(async () => (await countRecords(pool, topic.topic)) === 15)
  await second.stop()
  t.strictSame(await readStopped(pool), [])
  t.strictSame(await findUnaccounted(pool, topic.topic), [])
  isUndisturbed(t, first, second)
})

t.test(
  'a word on a partition that is not stopped is refused, and so is one that would pass over what is there',
  async (t) => {
    const { pool } = await database(t)
    const topic = await createTopic(t, brokers, 1)
    await storeThenStop(t, topic, pool, 10)
    for (const type of ['resumed', 'gap_accepted', 'incarnation_begun'] as const)
      t.strictSame(await decide(topic, pool, type), { kind: 'not_stopped' })
    const unknown = { topic: 'unknown', partition: 0, actor: 'alice', reason: 'a slip' }
    t.strictSame(await decidePartition(pool, { ...unknown, type: 'resumed', range: null }), {
      kind: 'not_stopped',
    })
    await pool.query(`select stop_partition($1, 0, 1, 10, null, 'by hand', 'test')`, [topic.topic])
    t.strictSame(await decide(topic, pool, 'gap_accepted'), {
      kind: 'no_gap',
      stoodAt: 10n,
      stoppedBy: 'by hand',
    })
    const consumer = startConsumer(t, topic, pool)
    await produce(topic, 0, ['next'])
    await waitForLine(consumer, 'partition stopped')
    // No fetch tells it: the broker is asked.
    await until(async () => (await unreadLagsOf(consumer)).join() === '0:1')
    t.match(await decide(topic, pool, 'resumed'), { kind: 'decided', goesOnAt: 10n })
    consumer.decisions.give()
    await until(async () => (await countRecords(pool, topic.topic)) === 11)
    await until(async () => (await unreadLagsOf(consumer)).length === 0)
    t.strictSame(await decide(topic, pool, 'resumed'), { kind: 'not_stopped' }, 'one word is enough')
  },
)

t.test(
  'the database returns to an older copy: what came since is fetched again, and stored once',
  async (t) => {
    const { pool } = await database(t)
    const topic = await createTopic(t, brokers, 1)
    await storeThenStop(t, topic, pool, 10)
    await pool.query('create schema copy')
    for (const table of tables)
      await pool.query(`create table copy.${table} as select * from public.${table}`)
    await produce(topic, 0, names('since', 10))
    const consumer = startConsumer(t, topic, pool)
    await until(async () => (await countRecords(pool, topic.topic)) === 20)
    await consumer.stop()
    await restore(pool)
    t.equal(await countRecords(pool, topic.topic), 10)
    const after = startConsumer(t, topic, pool)
    await until(async () => (await countRecords(pool, topic.topic)) === 20)
    t.strictSame(await findUnaccounted(pool, topic.topic), [])
    t.equal(new Set((await readRecords(pool, topic.topic)).map((each) => each.transaction_id)).size, 20)
    await after.stop()

    await restore(pool)
    await deleteBelow(topic, 15)
    const last = startConsumer(t, topic, pool)
    t.match(await waitForLine(last, 'partition stopped'), {
      reason: /next offset is 10, .* first offset is 15/,
    })
  },
)

t.test(
  'of a group whose place was deleted before anything was stored nothing is passed over in silence',
  async (t) => {
    const { pool } = await database(t)
    const topic = await createTopic(t, brokers, 1)
    await produce(topic, 0, names('lost', 20))
    await topic.admin.setOffsets({ ...topic, partitions: [{ partition: 0, offset: '5' }] })
    await deleteBelow(topic, 8)
    const consumer = startConsumer(t, topic, pool)
    t.match(await waitForLine(consumer, 'partition stopped'), {
      next_offset: null,
      reason: /next offset is 5, .* first offset is 8: .*offsets 5 to 7/,
    })
    await isStopped(pool)
    t.match(await decide(topic, pool, 'gap_accepted'), { kind: 'decided', stoodAt: 5n, goesOnAt: 8n })
    consumer.decisions.give()
    await until(async () => (await countRecords(pool, topic.topic)) === 12)
    t.equal((await readRecords(pool, topic.topic))[0]?.offset, 8)
  },
)

t.test('a stop that comes late, by an instance that slept through the decision, is no stop', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, brokers, 1)
  await storeThenStop(t, topic, pool, 10)
  const stop = (incarnation: number, next: number) =>
    pool
      .query<{ stopped: boolean }>(
        `select stop_partition($1, 0, $2, $3, null, 'seen long ago', 'late') as stopped`,
        [topic.topic, incarnation, next],
      )
      .then(({ rows }) => rows[0]?.stopped)
  t.equal(await stop(1, 9), false, 'it stands elsewhere')
  t.equal(await stop(1, 10), true)
  t.equal(await stop(1, 10), true, 'it is stopped already')
  await decide(topic, pool, 'incarnation_begun')
  t.equal(await stop(1, 10), false, 'that incarnation has ended')
  t.strictSame(await readStopped(pool), [])
})

const tables = [
  'message_events',
  'records',
  'inbox',
  'message_states',
  'partition_advances',
  'partition_holes',
  'partition_decisions',
]

/** As a restore to the copy does, but for what only a cluster has. */
async function restore(pool: Pool): Promise<void> {
  for (const table of tables) {
    await pool.query(`alter table ${table} disable trigger user`)
    await pool.query(`delete from public.${table}; insert into public.${table} select * from copy.${table}`)
    await pool.query(`alter table ${table} enable trigger user`)
    await pool.query(
      `do $$ declare name text; begin
        for name in select tgname from pg_trigger where tgrelid = '${table}'::regclass and not tgisinternal and tgname = 'append_only'
        loop execute 'alter table ${table} enable always trigger ' || name; end loop;
      end $$`,
    )
  }
}

/** Every partition gets `count` records that are stored. */
async function storeThenStop(
  t: Pick<Test, 'teardown'>,
  topic: TestTopic,
  pool: Pool,
  count: number,
): Promise<TestConsumer> {
  const partitions = (await topic.admin.fetchTopicOffsets(topic.topic)).length
  for (let partition = 0; partition < partitions; partition++)
    await produce(topic, partition, names(`p${partition}`, count))
  const consumer = startConsumer(t, topic, pool)
  await until(async () => (await countRecords(pool, topic.topic)) === count * partitions)
  await consumer.stop()
  return consumer
}

/** Deletes the topic with all that is in it, and makes it again, unless whoever reads it has made the broker do so already. */
async function createAnew({ admin, topic }: TestTopic): Promise<void> {
  const offsets = () => admin.fetchTopicOffsets(topic).catch(() => [])
  const numPartitions = (await offsets()).length
  await admin.deleteTopics({ topics: [topic] })
  await admin.createTopics({ topics: [{ topic, numPartitions }] })
  await until(async () => (await offsets()).some(({ partition, high }) => partition === 0 && high === '0'))
}

async function deleteBelow(topic: TestTopic, offset: number): Promise<void> {
  await topic.admin.deleteTopicRecords({
    topic: topic.topic,
    partitions: [{ partition: 0, offset: String(offset) }],
  })
}

async function decide(topic: TestTopic, pool: Pool, type: PartitionDecision['type']) {
  const found = await topic.admin.fetchTopicOffsets(topic.topic).catch(() => [])
  const { low = '0', high = '0' } = found.find((each) => each.partition === 0) ?? {}
  const range = { low: BigInt(low), high: BigInt(high) }
  const word = { partition: 0, actor: 'alice', reason: 'the archive has them' }
  return decidePartition(pool, { ...word, topic: topic.topic, type, range })
}

async function readStopped(pool: Pool): Promise<unknown[]> {
  const { rows } = await pool.query('select partition, reason from stopped_partitions order by partition')
  return rows as unknown[]
}

/** The stop is recorded, which is when an operator can see it and decide. */
async function isStopped(pool: Pool): Promise<void> {
  await until(async () => (await readStopped(pool)).length === 1)
}

type Life = { incarnation: number; offset: number; type: string; transaction_id: string | null }

/** The records of each incarnation of partition 0; of the first those from `from` on. */
async function readLives(pool: Pool, topic: string, from: number): Promise<Life[]> {
  const { rows } = await pool.query<Life>(
    `select incarnation, kafka_offset::int as offset, type, transaction_id from message_events
      where topic = $1 and partition = 0 and kafka_offset is not null and (incarnation > 1 or kafka_offset >= $2)
      order by incarnation, kafka_offset`,
    [topic, from],
  )
  return rows
}

function isUndisturbed(t: Test, ...consumers: TestConsumer[]): void {
  for (const { lines } of consumers)
    t.equal(lines.filter(({ event }) => event === 'consumer crashed').length, 0, 'no consumer crashed')
}
