import type { Socket } from 'node:net'
import t from 'tap'
import { answer, send, startDeliverer, startProcessor, until } from './processor.ts'

const burst = 500

t.test('a processor that answers at once has a slice of requests over few connections', async (t) => {
  const processor = await startProcessor(t, (socket) => socket.write(answer('200 OK')))
  const deliverer = startDeliverer(t, processor.url, { connections: burst })
  // The first ones are slow: code is compiled, and connections are made.
  await Promise.all(Array.from({ length: 50 }, () => send(deliverer)))
  const outcomes = await Promise.all(Array.from({ length: burst }, () => send(deliverer)))
  t.ok(outcomes.every(({ kind }) => kind === 'accepted'))
  t.comment(`${processor.connections} connections`)
  t.ok(processor.connections < burst, `${processor.connections} connections`)
})

t.test('a slow processor gets as many requests at once as are allowed', async (t) => {
  const held: Socket[] = []
  let holds = true
  const processor = await startProcessor(t, (socket) => {
    if (holds) held.push(socket)
    else socket.write(answer('200 OK'))
  })
  const deliverer = startDeliverer(t, processor.url, { connections: 300 })
  const outcomes = Promise.all(Array.from({ length: 400 }, () => send(deliverer)))
  await until(() => processor.requests.length === 300)
  t.equal(processor.connections, 300)
  holds = false
  for (const socket of held) socket.write(answer('200 OK'))
  t.strictSame(new Set((await outcomes).map(({ kind }) => kind)), new Set(['accepted']))
  t.equal(processor.connections, 300)
})

t.test('a processor that becomes slow under requests that never stop gets more connections', async (t) => {
  let delayMs = 0
  const processor = await startProcessor(t, (socket) => {
    if (delayMs === 0) socket.write(answer('200 OK'))
    else setTimeout(() => socket.write(answer('200 OK')), delayMs)
  })
  const deliverer = startDeliverer(t, processor.url, { connections: 250 })
  let stopped = false
  const work = async () => {
    while (!stopped) await send(deliverer)
  }
  const workers = Array.from({ length: 300 }, work)
  await until(() => processor.requests.length > 2_000)
  delayMs = 200
  let most = 0
  await until(() => {
    most = Math.max(most, processor.sockets.size)
    return most === 250
  })
  stopped = true
  await Promise.all(workers)
  t.equal(most, 250)
})
