import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import t from 'tap'
import { countRecords, createTopic, produce, readRecords, startConsumer, until } from '../ingest/harness.ts'
import { database } from '../support/database.ts'
import { startKafka } from '../support/kafka.ts'

const brokers = await startKafka(t)

t.test('a partition whose slice waits for a lock holds up no other', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, brokers, 2)
  await produce(topic, 0, ['a'])
  await produce(topic, 1, ['b'])
  const consumer = startConsumer(t, topic, pool)
  await until(async () => (await countRecords(pool, topic.topic)) === 2)
  const blocker = await pool.connect()
  await blocker.query('begin')
  await blocker.query('select from partitions where partition = 0 for update')
  await produce(topic, 0, ['c'])
  await until(async () => {
    const { rows } = await pool.query(
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    )
    return rows.length === 1
  })
  await produce(topic, 1, ['d'])
  await until(async () => (await countRecords(pool, topic.topic)) === 3)
  t.strictSame(
    (await readRecords(pool, topic.topic)).map(({ transaction_id: id }) => id),
    ['a', 'b', 'd'],
  )
  t.notOk(
    consumer.lines.find(({ event }) => event === 'partition held'),
    'the slice of the other partition was still waited for',
  )
  await blocker.query('rollback')
  blocker.release()
  await until(async () => (await countRecords(pool, topic.topic)) === 4)
})

t.test('a consumer that has stopped has no connection to the broker any more', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, brokers, 4)
  const sockets: Socket[] = []
  const note = (message: unknown): void => void sockets.push((message as { socket: Socket }).socket)
  subscribe('net.client.socket', note)
  t.teardown(() => unsubscribe('net.client.socket', note))
  const countOpen = (): number =>
    sockets.filter(({ destroyed, remotePort }) => !destroyed && brokers[0]?.endsWith(`:${remotePort}`)).length
  const consumer = startConsumer(t, topic, pool)
  for (const partition of [0, 1, 2, 3]) await produce(topic, partition, [`${partition}`])
  await until(async () => (await countRecords(pool, topic.topic)) === 4)
  t.ok(countOpen() >= 4, 'one for each fetcher')
  await consumer.stop()
  await until(() => countOpen() === 0)
})
