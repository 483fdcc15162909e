import pg from 'pg'
import t from 'tap'
import { database } from '../support/database.ts'
import { startKafka } from '../support/kafka.ts'
import { startProxy } from '../support/proxy.ts'
import {
  countRecords,
  createTopic,
  findUnaccounted,
  names,
  produce,
  startConsumer,
  until,
  waitForLine,
} from './harness.ts'

const brokers = await startKafka(t)

t.test('while PostgreSQL is away nothing is lost, and the consumer stays in its group', async (t) => {
  const { pool, proxy, proxied } = await databaseBehindProxy(t)
  const topic = await createTopic(t, brokers, 2)
  const consumer = startConsumer(t, topic, proxied)
  await produce(topic, 0, names('a', 100))
  await until(async () => (await countRecords(pool, topic.topic)) === 100)

  await proxy.refuse(true)
  proxy.cut()
  await produce(topic, 0, names('b', 1_000))
  await produce(topic, 1, names('c', 1_000))
  await until(() => consumer.health().state === 'waiting for the database')
  t.match(consumer.health(), { up: false, lastError: /./ })
  await until(() => consumer.lines.filter((line) => line.event === 'waiting for the database').length > 1)
  t.equal(await countRecords(pool, topic.topic), 100)

  await proxy.refuse(false)
  await until(async () => (await countRecords(pool, topic.topic)) === 2_100)
  await until(() => consumer.health().state === 'running')
  t.match(consumer.health(), { up: true, lastError: null, assigned: [0, 1] })
  t.strictSame(await findUnaccounted(pool, topic.topic), [])
  t.equal(consumer.lines.filter((line) => line.event === 'consumer crashed').length, 0)
})

t.test('a consumer that starts while PostgreSQL is away begins when it is back', async (t) => {
  const { pool, proxy, proxied } = await databaseBehindProxy(t)
  const topic = await createTopic(t, brokers, 1)
  await produce(topic, 0, names('a', 10))
  await proxy.refuse(true)
  const consumer = startConsumer(t, topic, proxied)
  await waitForLine(consumer, 'waiting for the database')
  t.match(consumer.health(), { state: 'waiting for the database', up: false, assigned: [0] })
  await proxy.refuse(false)
  await until(async () => (await countRecords(pool, topic.topic)) === 10)
  await until(() => consumer.health().up)
})

t.test('a commit whose answer was lost is known as such, and its records are stored once', async (t) => {
  const { pool, proxy, proxied } = await databaseBehindProxy(t)
  const topic = await createTopic(t, brokers, 1)
  const consumer = startConsumer(t, topic, proxied)
  await until(() => consumer.health().up)
  consumer.lane.room = 10
  proxy.freeze('toClient')
  await produce(topic, 0, names('a', 20))
  await until(async () => (await countRecords(pool, topic.topic)) === 20)
  t.equal(consumer.lane.ended, 0)
  proxy.cut()
  proxy.thaw()
  await until(() => consumer.lane.answersLost === 1)
  await produce(topic, 0, ['b'])
  await until(async () => (await countRecords(pool, topic.topic)) === 21)

  await until(() => consumer.lane.started === 1)
  t.strictSame(
    consumer.lane.claims.map((claim) => claim.transactionId),
    ['b'],
    'what was started without an answer is not handed over',
  )
  t.strictSame(await findUnaccounted(pool, topic.topic), [])
  const { rows } = await pool.query(
    `select count(*)::int as count from message_events where type = 'duplicate_received'`,
  )
  t.strictSame(rows, [{ count: 0 }])
})

t.test('a slice that PostgreSQL takes long to store holds its partition and no other', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, brokers, 2)
  const consumer = startConsumer(t, topic, pool)
  await produce(topic, 0, ['a'])
  await until(async () => (await countRecords(pool, topic.topic)) === 1)
  // Another session has the partition's row, as a frozen instance would.
  const blocker = await pool.connect()
  await blocker.query('begin')
  await blocker.query('select from partitions where partition = 0 for update')
  await produce(topic, 0, names('slow', 3))
  await waitForLine(consumer, 'partition held', { partition: 0 })
  t.equal(consumer.health().state, 'waiting for the database')
  await produce(topic, 1, names('b', 3))
  await until(async () => (await countRecords(pool, topic.topic)) === 4)
  await blocker.query('rollback')
  blocker.release()
  await until(async () => (await countRecords(pool, topic.topic)) === 7)
  await until(() => consumer.health().state === 'running')
  t.strictSame(await findUnaccounted(pool, topic.topic), [])
  t.match(await consumer.metrics.registry.metrics(), /partition="0",result="received"\} 4/)
})

t.test('while PostgreSQL answers but refuses to write, the consumer says that it waits', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, brokers, 1)
  const consumer = startConsumer(t, topic, pool)
  await produce(topic, 0, ['a'])
  await until(async () => (await countRecords(pool, topic.topic)) === 1)
  await pool.query(`create function fill_disk() returns trigger language plpgsql as
      $$ begin raise exception 'could not extend file' using errcode = '53100'; end $$;
    create trigger fill_disk before insert on records for each statement execute function fill_disk()`)
  await produce(topic, 0, names('b', 3))
  await waitForLine(consumer, 'partition held', { failures: 1 })
  const states = new Set<string>()
  await until(() => {
    states.add(consumer.health().state)
    return consumer.lines.some((line) => line.event === 'partition held' && line.failures === 4)
  })
  t.strictSame([...states], ['waiting for the database'])
  t.match(consumer.health(), { up: false, lastError: 'could not extend file' })
  await pool.query('drop trigger fill_disk on records')
  await until(async () => (await countRecords(pool, topic.topic)) === 4)
  await until(() => consumer.health().up)
  t.strictSame(await findUnaccounted(pool, topic.topic), [])
})

t.test('a stop while a slice is being stored finishes that slice', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, brokers, 1)
  const consumer = startConsumer(t, topic, pool)
  await produce(topic, 0, ['a'])
  await until(async () => (await countRecords(pool, topic.topic)) === 1)
  const blocker = await pool.connect()
  await blocker.query('begin')
  await blocker.query('select from partitions for update')
  await produce(topic, 0, ['b'])
  await until(async () => (await countWaiting(pool)) === 1)
  const stopping = consumer.stop()
  await blocker.query('rollback')
  blocker.release()
  await stopping
  t.equal(await countRecords(pool, topic.topic), 2)
  t.match(await waitForLine(consumer, 'batch ingested', { from: 1 }), { next: 2, committed: true })
  t.equal(consumer.lane.ended, 2)
})

async function databaseBehindProxy(t: Parameters<typeof startProxy>[0]) {
  const { url, pool } = await database(t)
  const target = new URL(url)
  const proxy = await startProxy(t, { host: target.hostname, port: Number(target.port) })
  target.port = String(proxy.port)
  target.hostname = '127.0.0.1'
  const proxied = new pg.Pool({ connectionString: target.href, connectionTimeoutMillis: 2_000 })
  proxied.on('error', () => undefined)
  t.teardown(() => proxied.end())
  return { pool, proxy, proxied }
}

async function countWaiting(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    `select count(*)::int as count from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`,
  )
  return rows[0]?.count ?? 0
}
