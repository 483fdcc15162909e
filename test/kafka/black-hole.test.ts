import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { createTopic, startConsumer, until } from '../ingest/harness.ts'
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
