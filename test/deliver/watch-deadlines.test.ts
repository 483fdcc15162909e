import { Worker } from 'node:worker_threads'
import { once } from 'node:events'
import t from 'tap'
import { suspend } from '../support/suspend.ts'
import { answer, send, startDeliverer, startProcessor, until } from './processor.ts'

t.test('a deadline that has passed sends nothing', async (t) => {
  const processor = await startProcessor(t, (socket) => socket.write(answer('200 OK')))
  const deliverer = startDeliverer(t, processor.url)
  t.strictSame(await send(deliverer, 'late', -1), {
    kind: 'not_sent',
    reason: 'timeout after 30 s, not sent',
  })
  t.match(await send(deliverer, 'next'), { kind: 'accepted' })
  t.notMatch(processor.received(), /late/)
})

t.test('a request that waits for a connection until its deadline is not sent, and never is', async (t) => {
  const processor = await startProcessor(t, (socket, { key }) => {
    if (key !== 'first') socket.write(answer('200 OK'))
  })
  const deliverer = startDeliverer(t, processor.url, { connections: 1 })
  const first = send(deliverer, 'first', 600)
  const waiting = send(deliverer, 'waiting', 100)
  const patient = send(deliverer, 'patient')
  t.strictSame(await waiting, { kind: 'not_sent', reason: 'timeout after 30 s, not sent' })
  t.match(await first, { kind: 'unknown' })
  t.match(await patient, { kind: 'accepted' })
  t.strictSame(
    processor.requests.map((request) => request.key),
    ['first', 'patient'],
  )
})

t.test('a request whose deadline passes while the process stands still is not sent', async (t) => {
  const processor = await startProcessor(t, (socket) => socket.write(answer('200 OK')))
  const deliverer = startDeliverer(t, processor.url)
  const outcome = send(deliverer, 'late', 50)
  standStill(100)
  t.strictSame(await outcome, { kind: 'not_sent', reason: 'timeout after 30 s, not sent' })
  t.match(await send(deliverer, 'next'), { kind: 'accepted' })
  t.notMatch(processor.received(), /late/)
})

t.test('a request that was not written before the machine was suspended is not sent', async (t) => {
  const processor = await startProcessor(t, (socket) => socket.write(answer('200 OK')))
  const deliverer = startDeliverer(t, processor.url)
  const outcome = send(deliverer, 'late')
  suspend(t, 3_600_000)
  t.strictSame(await outcome, { kind: 'not_sent', reason: 'this machine was suspended, not sent' })
  t.match(await send(deliverer, 'next'), { kind: 'accepted' })
  t.notMatch(processor.received(), /late/)
})

t.test('deadlines need not come in the order of the requests', async (t) => {
  const processor = await startProcessor(t, () => undefined)
  const deliverer = startDeliverer(t, processor.url)
  let ended = false
  void send(deliverer, 'long').then(() => (ended = true))
  t.match(await send(deliverer, 'short', 100), { kind: 'unknown' })
  t.notOk(ended)
})

t.test(
  'an answer that lies in the socket counts, although the deadline passed while the process stood still',
  async (t) => {
    // The processor is another thread: it must answer while this one stands still.
    const flags = new Int32Array(new SharedArrayBuffer(8))
    const worker = new Worker(processorThread, { eval: true, workerData: flags })
    t.teardown(() => worker.terminate())
    const [port] = (await once(worker, 'message')) as [number]
    const deliverer = startDeliverer(t, new URL(`http://127.0.0.1:${port}/`))
    const outcome = send(deliverer, 'k', 1_500)
    await until(() => Atomics.load(flags, 0) === 1)
    // Answered only now, while no socket of this thread can be read.
    Atomics.store(flags, 0, 2)
    Atomics.notify(flags, 0)
    Atomics.wait(flags, 1, 0)
    standStill(1_700)
    t.match(await outcome, { kind: 'accepted', statusCode: 200 })
  },
)

const processorThread = `
  const { parentPort, workerData: flags } = require('node:worker_threads')
  const server = require('node:net').createServer((socket) => {
    socket.once('data', () => {
      Atomics.store(flags, 0, 1)
      Atomics.wait(flags, 0, 1)
      socket.write('HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n', () => {
        Atomics.store(flags, 1, 1)
        Atomics.notify(flags, 1)
      })
    })
  })
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))
`

/** Blocks the event loop, as SIGSTOP or a long pause of the garbage collector would. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
