import { once } from 'node:events'
import { createRequire } from 'node:module'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { countRecords, createTopic, produce, startConsumer, until } from '../ingest/harness.ts'
import { database } from '../support/database.ts'
import { startKafka } from '../support/kafka.ts'

t.test('brokers that accept and never answer, named before one that is well, cost seconds', async (t) => {
  const { pool } = await database(t)
  const brokers = await startKafka(t)
  const topic = await createTopic(t, brokers, 1)
  const holes = [await startHole(t), await startHole(t), await startHole(t)]
  const consumer = startConsumer(t, { ...topic, brokers: [...holes, ...brokers] }, pool)
  await until(() => consumer.health().state === 'running')
  t.ok(consumer.health().up)
})

t.test('a broker that does not say who leads the partitions holds up nobody', async (t) => {
  const { pool } = await database(t)
  const topic = await createTopic(t, await startKafka(t), 2)
  startConsumer(t, topic, pool)
  for (const partition of [0, 1]) await produce(topic, partition, [`first-${partition}`])
  await until(async () => (await countRecords(pool, topic.topic)) === 2)
  silenceMetadata(t)
  // Every 5 s kafkajs asks again.
  const begunAt = performance.now()
  let slowestMs = 0
  for (let nth = 0; performance.now() - begunAt < 8_000; nth++) {
    const producedAt = performance.now()
    await produce(topic, nth % 2, [`then-${nth}`])
    await until(async () => (await countRecords(pool, topic.topic)) === nth + 3)
    slowestMs = Math.max(slowestMs, performance.now() - producedAt)
    await sleep(100)
  }
  t.ok(slowestMs < 3_000, `${Math.round(slowestMs)} ms`)
})

/** Has kafkajs' questions for metadata wait until the test ends. */
function silenceMetadata(t: Test): void {
  const { prototype } = createRequire(import.meta.url)('kafkajs/src/broker/index.js') as {
    prototype: { metadata: (topics: string[]) => Promise<unknown> }
  }
  const { metadata } = prototype
  const over = new AbortController()
  prototype.metadata = async function (topics) {
    if (!over.signal.aborted) await once(over.signal, 'abort')
    return metadata.call(this, topics)
  }
  t.teardown(() => over.abort())
}

async function startHole(t: Test): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}
