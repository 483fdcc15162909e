import { CompressionTypes } from 'kafkajs'
import t, { type Test } from 'tap'
import { decidePartition } from '../../src/log/write/decide-partition.ts'
import { migrate } from '../../src/runtime/migrate.ts'
import { database } from '../support/database.ts'
import { startKafka } from '../support/kafka.ts'
import {
  countRecords,
  createClient,
  createTopic,
  findUnaccounted,
  names,
  produce,
  readCommitted,
  readRecords,
  startConsumer,
  until,
  waitForLine,
  type TestTopic,
} from './harness.ts'

const brokers = await startKafka(t)

t.test('the next offset in PostgreSQL wins over what Kafka has committed', async (t) => {
  for (const [what, offset] of [
    ['ahead', '60'],
    ['behind', '3'],
  ] as const) {
    await t.test(`Kafka's offset is ${what}`, async (t) => {
      const { pool } = await database(t)
      const topic = await createTopic(t, brokers, 1)
      await produce(topic, 0, names('a', 40))
      const first = startConsumer(t, topic, pool)
      await until(async () => (await countRecords(pool, topic.topic)) === 40)
      await first.stop()
      await produce(topic, 0, names('b', 40))
      await topic.admin.setOffsets({ ...topic, partitions: [{ partition: 0, offset }] })
      const second = startConsumer(t, topic, pool)
      await until(async () => (await countRecords(pool, topic.topic)) === 80)
      await until(async () => (await readCommitted(topic)).join() === '80')
      await second.stop()
      t.strictSame(await findUnaccounted(pool, topic.topic), [])
      t.equal((await readRecords(pool, topic.topic)).length, 80)
    })
  }
})

t.test('a group whose offsets were deleted goes on where PostgreSQL stands', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, brokers, 1)
  await produce(topic, 0, names('a', 40))
  const first = startConsumer(t, topic, pool)
  await until(async () => (await countRecords(pool, topic.topic)) === 40)
  await first.stop()
  await topic.admin.deleteGroups([topic.groupId])
  await produce(topic, 0, names('b', 5))
  const second = startConsumer(t, topic, pool)
  await until(async () => (await countRecords(pool, topic.topic)) === 45)
  // The last stored record is read again, to see that it is still the one that was stored.
  t.match(await waitForLine(second, 'batch ingested'), { from: 39, received: 5, skipped: 1 })
})

t.test('records deleted before they were stored stop their partition, and the others go on', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, brokers, 2)
  await storeThenStop(t, topic, pool, 10)
  await produce(topic, 0, names('lost', 10))
  await topic.admin.deleteTopicRecords({ topic: topic.topic, partitions: [{ partition: 0, offset: '15' }] })
  const consumer = startConsumer(t, topic, pool)
  await waitForLine(consumer, 'partition stopped')
  await until(async () => (await readStopped(pool)).length === 1)
  await produce(topic, 1, names('c', 10))
  await until(async () => (await countRecords(pool, topic.topic)) === 30)

  t.match(await readStopped(pool), [
    { topic: topic.topic, partition: 0, reason: /next offset is 10, .* first offset is 15/ },
  ])
  const records = await readRecords(pool, topic.topic)
  t.equal(records.filter((record) => record.partition === 0).length, 10, 'nothing behind the gap is stored')
  t.match(consumer.health(), { state: 'running', up: true })
  t.equal(consumer.lines.filter((line) => line.event === 'partition stopped').length, 1)

  await consumer.stop()
  const next = startConsumer(t, topic, pool)
  await until(() => next.lines.some((line) => line.event === 'partition stopped'))
  t.match(
    next.lines.find((line) => line.event === 'partition stopped'),
    { partition: 0, next_offset: 10 },
  )
  await produce(topic, 1, ['last'])
  await until(async () => (await countRecords(pool, topic.topic)) === 31)
})

t.test('a topic that was created anew and is shorter now stops the partition', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, brokers, 1)
  await storeThenStop(t, topic, pool, 10)
  await topic.admin.deleteTopics({ topics: [topic.topic] })
  await until(async () => !(await topic.admin.listTopics()).includes(topic.topic))
  const anew = await createTopic(t, brokers, 1, topic.topic)
  await produce(anew, 0, names('new', 4))
  const consumer = startConsumer(t, topic, pool)
  await until(async () => (await readStopped(pool)).length === 1)
  t.match(await readStopped(pool), [{ partition: 0, reason: /next offset is 10, .* ends at 4/ }])
  t.equal(await countRecords(pool, topic.topic), 10)
  await consumer.stop()
})

t.test('a partition whose next offset PostgreSQL forgot is read again from there', async (t) => {
  const { pool } = await database(t)
  const { topic, consumer } = await storeTwice(t, pool)
  // As after a return to an older copy, while Kafka and this consumer have moved on.
  await forget(pool, 10)
  await produce(topic, 0, ['c'])
  await untilStored(pool, topic, 'c')

  const records = await readRecords(pool, topic.topic)
  t.equal(
    records.filter((record) => record.type === 'duplicate_received').length,
    10,
    'they were offered again',
  )
  t.equal(records.at(-1)?.offset, 20)
  t.equal(consumer.lines.filter((line) => line.event === 'partition stopped').length, 0)
})

t.test('a partition that PostgreSQL forgot as a whole is read again from where it began', async (t) => {
  const { pool } = await database(t)
  const { topic, consumer } = await storeTwice(t, pool)
  // As after a failover that lost all of it. No word of that has come yet when the next record does.
  await forgetAll(pool)
  await produce(topic, 0, ['c'])
  await untilStored(pool, topic, 'c')
  const records = await readRecords(pool, topic.topic)
  t.equal(
    records.filter((record) => record.type === 'duplicate_received').length,
    20,
    'all are offered again',
  )
  t.equal(consumer.lines.filter((line) => line.event === 'partition stopped').length, 0)

  await forgetAll(pool)
  consumer.serverChanges.give()
  await until(async () => (await readRecords(pool, topic.topic)).length === 62)
  t.strictSame(await findBegins(pool), [{ first_offset: 0, next_offset: 21 }])
})

t.test('a service that starts on a log without a partition that was stored stops it', async (t) => {
  for (const type of ['gap_accepted', 'incarnation_begun'] as const) {
    await t.test(`and an operator decides: ${type}`, async (t) => {
      const { pool } = await database(t)
      const topic = await createTopic(t, brokers, 1)
      await storeThenStop(t, topic, pool, 10)
      await until(async () => (await readCommitted(topic)).join() === '10')
      await forgetAll(pool)
      await produce(topic, 0, ['c'])
      const consumer = startConsumer(t, topic, pool)
      t.match(await waitForLine(consumer, 'partition stopped', { partition: 0 }), {
        reason:
          /^The log has nothing of this partition, but offsets 0 to 9 were stored in it.*--new-incarnation.*--accept-gap/,
      })
      await until(async () => (await readStopped(pool)).length === 1)
      const word = { topic: topic.topic, partition: 0, type, actor: 'alice', reason: 'it was put back' }
      t.match(await decidePartition(pool, { ...word, range: { low: 0n, high: 11n } }), {
        kind: 'decided',
        stoodAt: 0n,
        goesOnAt: type === 'gap_accepted' ? 10n : 0n,
      })
      consumer.decisions.give()
      await untilStored(pool, topic, 'c')
      const { length } = await readRecords(pool, topic.topic)
      t.equal(length, type === 'gap_accepted' ? 11 : 21)
    })
  }
})

t.test('a new log begins at the committed offset, whatever another log has stored below it', async (t) => {
  const topic = await createTopic(t, brokers, 1)
  await storeThenStop(t, topic, (await database(t)).pool, 10)
  await until(async () => (await readCommitted(topic)).join() === '10')
  await produce(topic, 0, ['c'])
  // Not a copy of the tests' template, whose copies are one log.
  const { pool, url } = await database(t, { empty: true })
  await migrate({ connectionString: url })
  const consumer = startConsumer(t, topic, pool)
  await until(async () => (await readRecords(pool, topic.topic)).length > 0)
  t.match(await readRecords(pool, topic.topic), [{ transaction_id: 'c', offset: 10 }])
  t.equal(consumer.lines.filter((line) => line.event === 'partition stopped').length, 0)
})

t.test('what transactions leave between records is a recorded hole', async (t) => {
  const { pool } = await database(t)
  if (!process.env.KAFKA_BROKER) {
    t.comment('left out: the embedded broker has no transactions; name a real one in KAFKA_BROKER')
    return
  }
  const topic = await createTopic(t, brokers, 1)
  const transact = async (ids: string[], commits: boolean) => {
    const transaction = await transactional.transaction()
    await transaction.send({
      topic: topic.topic,
      messages: ids.map((id) => ({ partition: 0, value: JSON.stringify({ transaction_id: id }) })),
    })
    await (commits ? transaction.commit() : transaction.abort())
  }
  const transactional = createClient(brokers).producer({
    transactionalId: topic.topic,
    idempotent: true,
    maxInFlightRequests: 1,
  })
  await transactional.connect()
  t.teardown(() => transactional.disconnect())
  const consumer = startConsumer(t, topic, pool)
  await transact(names('a', 3), true)
  await until(async () => (await countRecords(pool, topic.topic)) === 3)
  await transact(names('aborted', 5), false)
  await transact(names('b', 2), true)
  await produce(topic, 0, ['c'])
  await until(async () => (await countRecords(pool, topic.topic)) === 6)
  await transact(names('aborted', 5), false)
  await produce(topic, 0, ['d'])
  await until(async () => (await countRecords(pool, topic.topic)) === 7)

  // Which offset a record gets is the broker's affair: it writes a transaction's marker some time after the commit's answer.
  t.strictSame(
    (await readRecords(pool, topic.topic)).map((record) => record.transaction_id),
    ['a-0', 'a-1', 'a-2', 'b-0', 'b-1', 'c', 'd'],
  )
  const { rows } = await pool.query<{ holes: number }>(
    `select sum(next_offset - first_offset)::int as holes from partition_holes`,
  )
  t.ok(rows[0]!.holes >= 10, 'the aborted records are in holes')
  t.strictSame(await findUnaccounted(pool, topic.topic), [])
  t.equal(consumer.lines.filter((line) => line.event === 'partition stopped').length, 0)
})

t.test('a gzip batch is read like any other', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, brokers, 1)
  const messages = names('a', 100).map((id) => ({
    partition: 0,
    value: JSON.stringify({ transaction_id: id }),
  }))
  await topic.producer.send({ topic: topic.topic, messages, compression: CompressionTypes.GZIP })
  startConsumer(t, topic, pool)
  await until(async () => (await countRecords(pool, topic.topic)) === 100)
  t.strictSame(await findUnaccounted(pool, topic.topic), [])
})

type Pool = Parameters<typeof countRecords>[0]

/** A consumer that has stored ten records, and then ten more, and goes on. */
async function storeTwice(t: Test, pool: Pool) {
  const topic = await createTopic(t, brokers, 1)
  await produce(topic, 0, names('a', 10))
  const consumer = startConsumer(t, topic, pool)
  await until(async () => (await countRecords(pool, topic.topic)) === 10)
  await produce(topic, 0, names('b', 10))
  await until(async () => (await countRecords(pool, topic.topic)) === 20)
  return { topic, consumer }
}

async function untilStored(pool: Pool, { topic }: TestTopic, id: string): Promise<void> {
  await until(async () => (await readRecords(pool, topic)).some((record) => record.transaction_id === id))
}

/** Both partitions, or the one there is, get `count` records that are stored. */
async function storeThenStop(
  t: Pick<Test, 'teardown'>,
  topic: TestTopic,
  pool: Pool,
  count: number,
): Promise<void> {
  const partitions = (await topic.admin.fetchTopicOffsets(topic.topic)).length
  for (let partition = 0; partition < partitions; partition++)
    await produce(topic, partition, names(`p${partition}`, count))
  const consumer = startConsumer(t, topic, pool)
  await until(async () => (await countRecords(pool, topic.topic)) === count * partitions)
  await consumer.stop()
}

async function readStopped(pool: Pool): Promise<unknown[]> {
  return (await pool.query('select topic, partition, reason from stopped_partitions')).rows as unknown[]
}

async function forget(pool: Pool, nextOffset: number): Promise<void> {
  const { rows } = await pool.query<{ tgname: string }>(
    `select tgname from pg_trigger where tgrelid = 'partition_advances'::regclass and not tgisinternal`,
  )
  for (const { tgname } of rows) await pool.query(`alter table partition_advances disable trigger ${tgname}`)
  await pool.query('delete from partition_advances where next_offset > $1', [nextOffset])
  for (const { tgname } of rows)
    await pool.query(`alter table partition_advances enable always trigger ${tgname}`)
}

/** All that says how far partitions are stored, as in a log that never had one. The messages stay. */
async function forgetAll(pool: Pool): Promise<void> {
  await pool.query(`do $$
    declare ground text;
    begin
      foreach ground in array array['partition_folds', 'partition_advances', 'partition_holes', 'partition_decisions', 'partitions'] loop
        execute format('alter table %I disable trigger user', ground);
        execute format('delete from %I', ground);
        if exists (select from pg_trigger where tgrelid = ground::regclass and tgname = 'append_only') then
          execute format('alter table %I enable always trigger append_only', ground);
        end if;
      end loop;
    end $$`)
}

async function findBegins(pool: Pool): Promise<unknown[]> {
  const { rows } = await pool.query(
    'select min(first_offset)::int as first_offset, max(next_offset)::int as next_offset from partition_advances',
  )
  return rows as unknown[]
}
