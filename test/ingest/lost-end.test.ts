import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { openBroker } from '../../src/embedded/broker/broker.ts'
import { serve } from '../../src/embedded/broker/serve.ts'
import { database } from '../support/database.ts'
import { countRecords, createTopic, names, produce, startConsumer, until } from './harness.ts'

// In this process, so that a partition can lose its end within the moment in which connections are cut: the
// group and its members stay, as when another broker coordinates them.
const dataDir = await mkdtemp(join(tmpdir(), 'broker-'))
const broker = openBroker(dataDir)
let listening = await serve(broker, '127.0.0.1', 0)
const { port } = listening
t.teardown(async () => {
  await listening.close()
  broker.close()
  await rm(dataDir, { recursive: true, force: true })
})

t.test(
  'a partition that lost its end with its leader, and was filled past the next offset, stops',
  async (t) => {
    const { pool } = await database(t)
    const brokers = [`127.0.0.1:${port}`]
    const topic = await createTopic(t, brokers, 2)
    const next = await createTopic(t, brokers, 1)
    const consumer = startConsumer(t, topic, pool)
    await produce(topic, 0, names('kept', 5))
    await produce(next, 0, names('kept', 5))
    await produce(topic, 0, names('lost', 5))
    await produce(next, 0, names('unread', 5))
    await produce(next, 0, names('later', 5))
    await until(async () => (await countRecords(pool, topic.topic)) === 10)
    await until(() => consumer.health().up)

    const log = broker.topics.partition(next.topic, 0)!
    const bytes = Array.from({ length: 3 }, (_, at) => {
      const { position, byteLength } = log.slice(at * 5, 1, 1024 * 1024)
      const batch = Buffer.alloc(byteLength)
      log.readInto(batch, { position, byteLength })
      return batch
    })
    await listening.close()
    broker.topics.delete(topic.topic)
    broker.topics.create(topic.topic, 2)
    for (const batch of bytes) broker.topics.partition(topic.topic, 0)!.append(batch)
    listening = await serve(broker, '127.0.0.1', port)

    const findStop = () => consumer.lines.find(({ event }) => event === 'partition stopped')
    await until(async () => findStop() !== undefined || (await countRecords(pool, topic.topic)) > 10)
    t.match(findStop(), {
      partition: 0,
      next_offset: 10,
      reason: /record at offset 9 is not the one that was stored/,
    })
    t.equal(await countRecords(pool, topic.topic), 10)
    t.notOk(
      consumer.lines.some(({ event }) => event === 'consumer crashed'),
      'the session goes on',
    )
    t.match(consumer.health(), { state: 'running', up: true })
  },
)
