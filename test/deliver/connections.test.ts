import t from 'tap'
import { answer, send, startDeliverer, startProcessor, until } from './processor.ts'

t.test('requests use a connection again, one at a time', async (t) => {
  let open = 0
  const processor = await startProcessor(t, (socket) => {
    t.equal(++open, 1, 'no second request before the answer')
    setImmediate(() => {
      open -= 1
      socket.write(answer('200 OK'))
    })
  })
  const deliverer = startDeliverer(t, processor.url, { connections: 1 })
  const outcomes = await Promise.all(Array.from({ length: 20 }, (_, at) => send(deliverer, `key-${at}`)))
  t.ok(outcomes.every((outcome) => outcome.kind === 'accepted'))
  t.equal(processor.connections, 1)
  t.strictSame(
    processor.requests.map((request) => request.key),
    Array.from({ length: 20 }, (_, at) => `key-${at}`),
    'in the order of the calls',
  )
})

t.test('no more connections are open than set', async (t) => {
  const processor = await startProcessor(t, (socket) => setImmediate(() => socket.write(answer('200 OK'))))
  const deliverer = startDeliverer(t, processor.url, { connections: 3 })
  await Promise.all(Array.from({ length: 50 }, () => send(deliverer)))
  t.equal(processor.connections, 3)
})

t.test('of many requests at once each has its outcome, also those that cannot be sent', async (t) => {
  const processor = await startProcessor(t, (socket) => setImmediate(() => socket.write(answer('200 OK'))))
  const deliverer = startDeliverer(t, processor.url, { connections: 40 })
  // More than begin in one turn of the event loop, and more than there are connections.
  const keys = Array.from({ length: 200 }, (_, at) => (at % 3 === 0 ? `illegal\n${at}` : `key-${at}`))
  const outcomes = await Promise.all(keys.map((key) => send(deliverer, key)))
  t.strictSame(
    outcomes.map((outcome) => outcome.kind),
    keys.map((key) => (key.startsWith('key') ? 'accepted' : 'not_sent')),
  )
  t.strictSame(
    processor.requests.map((request) => request.key).sort(),
    keys.filter((key) => key.startsWith('key')).sort(),
    'each once',
  )
})

t.test('a connection that the processor closed while idle costs nothing', async (t) => {
  const processor = await startProcessor(t, (socket) => socket.write(answer('200 OK')))
  const deliverer = startDeliverer(t, processor.url, { connections: 1 })
  t.match(await send(deliverer, 'a'), { kind: 'accepted' })
  for (const socket of processor.sockets) socket.end()
  await until(() => processor.sockets.size === 0)
  t.match(await send(deliverer, 'b'), { kind: 'accepted' })
  t.equal(processor.connections, 2)
})

t.test(
  'a processor that closes after each answer without saying so loses no request that waits',
  async (t) => {
    const processor = await startProcessor(t, (socket) => socket.end(answer('200 OK')))
    const deliverer = startDeliverer(t, processor.url, { connections: 1 })
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => send(deliverer)))
    t.strictSame(new Set(outcomes.map((outcome) => outcome.kind)), new Set(['accepted']))
    t.equal(processor.requests.length, 20)
  },
)

t.test(
  'a used connection that closes before the next answer makes it unknown, and the request is not repeated',
  async (t) => {
    for (const end of ['end', 'resetAndDestroy', 'destroy'] as const) {
      const processor = await startProcessor(t, (socket, { key }) => {
        if (key === 'broken') socket[end]()
        else socket.write(answer('200 OK'))
      })
      const deliverer = startDeliverer(t, processor.url, { connections: 1 })
      t.match(await send(deliverer, 'good'), { kind: 'accepted' })
      const [broken, next] = await Promise.all([send(deliverer, 'broken'), send(deliverer, 'next')])
      t.match(
        broken,
        { kind: 'unknown', statusCode: null, reason: /^connection (?:closed|reset) before the answer$/ },
        end,
      )
      t.match(next, { kind: 'accepted' }, end)
      t.strictSame(
        processor.requests.map((request) => [request.key, request.connection]),
        [
          ['good', 1],
          ['broken', 1],
          ['next', 2],
        ],
        end,
      )
    }
  },
)

t.test('an answer longer than its content-length is taken by it, and the rest answers nobody', async (t) => {
  const rests = ['garbage', answer('200 OK'), '\r\n', answer('503 Down')]
  for (const rest of rests) {
    const processor = await startProcessor(t, (socket, { key }) => {
      // What is too much about the first answer must not become the second one.
      socket.write(key === 'a' ? answer('200 OK', '{}') + rest : answer('402 No'))
    })
    const deliverer = startDeliverer(t, processor.url, { connections: 1 })
    const [a, b] = await Promise.all([send(deliverer, 'a'), send(deliverer, 'b')])
    t.match(a, { kind: 'accepted' }, JSON.stringify(rest))
    t.match(b, { kind: 'refused', statusCode: 402 }, JSON.stringify(rest))
    t.equal(processor.requests.length, 2)
  }
})

t.test('an answer that comes before the body was read counts', async (t) => {
  const processor = await startProcessor(t, () => undefined, {
    onConnection: (socket) => {
      socket.pause()
      socket.write(answer('413 Too Large', '', 'Connection: close\r\n'))
    },
  })
  const deliverer = startDeliverer(t, processor.url)
  const delivery = { body: Buffer.alloc(16 * 2 ** 20), idempotencyKey: 'k', attempt: 1, traceparent: null }
  t.match(await deliverer.deliver(delivery, performance.now() + 30_000), { statusCode: 413 })
})

t.test("the processor's Keep-Alive shortens how long a connection is used", async (t) => {
  const processor = await startProcessor(t, (socket) =>
    socket.write(answer('200 OK', '', 'Connection: keep-alive\r\nKeep-Alive: timeout=1\r\n')),
  )
  const deliverer = startDeliverer(t, processor.url, { connections: 1 })
  t.match(await send(deliverer, 'a'), { kind: 'accepted' })
  t.match(await send(deliverer, 'b'), { kind: 'accepted' })
  t.equal(processor.connections, 2, 'a connection that is closed after 1 s is not used again')
})
