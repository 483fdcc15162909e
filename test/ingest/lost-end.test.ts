import { subscribe } from 'node:diagnostics_channel'
import { mkdtemp, rm } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openBroker } from '../../src/embedded/broker/broker.ts'
import { serve } from '../../src/embedded/broker/serve.ts'
import { database } from '../support/database.ts'
import {
  countRecords,
  createTopic,
  names,
  produce,
  startConsumer,
  until,
  waitForLine,
  type TestTopic,
} from './harness.ts'

// In this process, so that a partition can lose its end within the moment in which connections are cut: the
// group and its members stay, as when another broker coordinates them.
const dataDir = await mkdtemp(join(tmpdir(), 'broker-'))
const broker = openBroker(dataDir)
/** Called with each answer that the broker has sent, and the connection it went to. */
let onAnswer: (answer: Buffer, socket: Socket) => void = () => undefined
subscribe('net.server.socket', (message) => {
  const { socket } = message as { socket: Socket }
  const write: (answer: Buffer) => boolean = socket.write.bind(socket)
  socket.write = (answer: Buffer) => {
    const hasRoom = write(answer)
    onAnswer(answer, socket)
    return hasRoom
  }
})
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
    const { pool, topic, next, consumer } = await setUp(t, 2)
    await produce(topic, 0, names('kept', 5))
    await produce(next, 0, names('kept', 5))
    await produce(topic, 0, names('lost', 5))
    await produce(next, 0, names('unread', 5))
    await produce(next, 0, names('later', 5))
    await until(async () => (await countRecords(pool, topic.topic)) === 10)
    await until(() => consumer.health().up)

    await listening.close()
    replaceLog(topic, next, 3)
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

t.test(
  'so does one whose fetches alone were cut, between two of them, while the group is heard',
  async (t) => {
    const { pool, topic, next, consumer } = await setUp(t, 1)
    for (const prefix of ['unread', 'later', 'last']) await produce(next, 0, names(prefix, 5))
    await produce(topic, 0, names('kept', 5))
    await until(async () => (await countRecords(pool, topic.topic)) === 5)
    onAnswer = (answer, socket) => {
      if (!answer.includes('the-last-one')) return
      onAnswer = () => undefined
      socket.end()
      replaceLog(topic, next, 3)
    }
    await produce(topic, 0, ['the-last-one'])
    const line = await waitForLine(consumer, 'partition stopped')
    t.match(line, { next_offset: 6, reason: /record at offset 5 is not the one that was stored/ })
    t.equal(await countRecords(pool, topic.topic), 6)
  },
)

/** A consumer of one topic, and another topic with the records that the first one gets later. */
async function setUp(t: Test, partitions: number) {
  const { pool } = await database(t)
  const brokers = [`127.0.0.1:${port}`]
  const topic = await createTopic(t, brokers, partitions)
  const next = await createTopic(t, brokers, 1)
  return { pool, topic, next, consumer: startConsumer(t, topic, pool) }
}

/** Gives a topic the records that the first sends of another have, as if another leader had taken them. */
function replaceLog({ topic }: TestTopic, from: TestTopic, sends: number): void {
  const log = broker.topics.partition(from.topic, 0)!
  const batches = Array.from({ length: sends }, (_, at) => {
    const { position, byteLength } = log.slice(at * 5, 1, 1024 * 1024)
    const batch = Buffer.alloc(byteLength)
    log.readInto(batch, { position, byteLength })
    return batch
  })
  const partitions = broker.topics.partitions(topic)!.length
  broker.topics.delete(topic)
  broker.topics.create(topic, partitions)
  for (const batch of batches) broker.topics.partition(topic, 0)!.append(batch)
}
