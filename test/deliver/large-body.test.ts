import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { answer, send, startDeliverer, until } from './processor.ts'

const largeBytes = 25 * 2 ** 20

t.test(
  'a body of 25 MiB arrives whole at a processor that reads slowly, and nobody waits for it',
  async (t) => {
    const chunks: Buffer[] = []
    const body = Buffer.alloc(largeBytes, 'transaction')
    const { url } = await startDeaf(t, (socket) => {
      let read = 0
      let length = Infinity
      // It reads a little and pauses, so that most of the body waits on our side.
      socket.on('data', (chunk: Buffer) => {
        if (read === 0) length = lengthOf(chunk)
        read += chunk.length
        if (length > largeBytes) chunks.push(chunk)
        if (read === length) {
          read = 0
          socket.write(answer('200 OK'))
        }
        socket.pause()
        setImmediate(() => socket.resume())
      })
      socket.resume()
    })
    const deliverer = startDeliverer(t, url)
    const outcome = deliverer.deliver(
      { body, idempotencyKey: 'large', attempt: 1, traceparent: null },
      performance.now() + 120_000,
    )
    t.match(await send(deliverer, 'small'), { kind: 'accepted' })
    t.match(await outcome, { kind: 'accepted' })
    t.equal(sha256(Buffer.concat(chunks).subarray(-largeBytes)), sha256(body))
    t.match(await send(deliverer, 'next'), { kind: 'accepted' })
  },
)

t.test('what is not read yet of a body is not copied', async (t) => {
  const { url, accepted } = await startDeaf(t)
  const deliverer = startDeliverer(t, url)
  const body = Buffer.alloc(largeBytes)
  const before = process.memoryUsage().arrayBuffers
  const outcomes = Array.from({ length: 4 }, (_, at) =>
    deliverer.deliver(
      { body, idempotencyKey: `k${at}`, attempt: 1, traceparent: null },
      performance.now() + 120_000,
    ),
  )
  await until(() => accepted.length === 4)
  t.ok(process.memoryUsage().arrayBuffers - before < largeBytes, 'four requests hold one body')
  deliverer.abortAll('enough')
  for (const outcome of await Promise.all(outcomes))
    t.match(outcome, { kind: 'unknown', reason: 'enough, sent, no answer' })
})

const early = {
  'an answer': answer('200 OK'),
  'an answer that ends its connection': answer('200 OK', '', 'Connection: close\r\n'),
  'an answer whose connection may not be idle': answer('200 OK', '', 'Keep-Alive: timeout=1\r\n'),
  'an answer that is cut': answer('200 OK', 'x'.repeat(100_000)),
}
for (const [name, text] of Object.entries(early)) {
  t.test(
    `${name} before the body was read: the rest of the body still comes, and no other request behind it`,
    async (t) => {
      const { url, accepted } = await startDeaf(t, (socket) => socket.write(text))
      const deliverer = startDeliverer(t, url, { connections: 2 })
      const body = Buffer.alloc(largeBytes, 'x')
      const delivery = { body, idempotencyKey: 'early', attempt: 1, traceparent: null }
      t.match(await deliverer.deliver(delivery, performance.now() + 120_000), { kind: 'accepted' })
      t.match(await send(deliverer, 'next'), { kind: 'accepted' })
      t.equal(accepted.length, 2, 'on another connection')
      let read = 0
      const [first] = accepted
      first?.on('data', (chunk: Buffer) => (read += chunk.length))
      first?.resume()
      if (first !== undefined) await once(first, 'close')
      t.ok(read > body.length, `${read} bytes`)
    },
  )
}

t.test(
  'an answer before the body was read, and nobody will: the connection ends with its processor',
  async (t) => {
    const ends: Record<string, (socket: Socket) => unknown> = {
      'it closes': (socket) => socket.destroy(),
      'it resets': (socket) => socket.resetAndDestroy(),
      'it ends, and closes': (socket) => socket.end(() => setTimeout(() => socket.destroy(), 100)),
    }
    for (const [name, end] of Object.entries(ends)) {
      const { url, accepted } = await startDeaf(t, (socket) =>
        socket.write(answer('200 OK', '', 'Connection: close\r\n'), () => setTimeout(end, 100, socket)),
      )
      const deliverer = startDeliverer(t, url, { connections: 1 })
      const body = Buffer.alloc(largeBytes, 'x')
      const delivery = { body, idempotencyKey: 'early', attempt: 1, traceparent: null }
      t.match(await deliverer.deliver(delivery, performance.now() + 120_000), { kind: 'accepted' }, name)
      const begunAt = performance.now()
      await send(deliverer, 'next')
      t.equal(accepted.length, 2)
      t.ok(performance.now() - begunAt < 2_000, 'the only connection is free again at once')
    }
  },
)

t.test('the rest of an accepted payment has the time that its request had', async (t) => {
  const { url, accepted } = await startDeaf(t, (socket) => socket.write(answer('200 OK')))
  const body = Buffer.alloc(largeBytes, 'x')
  const delivery = { body, idempotencyKey: 'early', attempt: 1, traceparent: null }
  const outcome = startDeliverer(t, url).deliver(delivery, performance.now() + 120_000)
  t.match(await outcome, { kind: 'accepted' })
  await wait(5_000)
  let read = 0
  const [first] = accepted
  first?.on('data', (chunk: Buffer) => (read += chunk.length))
  first?.resume()
  if (first !== undefined) await once(first, 'close')
  t.ok(read > body.length, `${read} bytes`)
})

t.test(
  'an answer before the body was read, and nobody reads: the connection is dropped in the end',
  async (t) => {
    const { url, accepted } = await startDeaf(t, (socket) => socket.write(answer('200 OK')))
    const deliverer = startDeliverer(t, url, { connections: 1 })
    const body = Buffer.alloc(largeBytes, 'x')
    const delivery = { body, idempotencyKey: 'early', attempt: 1, traceparent: null }
    t.match(await deliverer.deliver(delivery, performance.now() + 4_000), { kind: 'accepted' })
    // The only connection has to end before there is another.
    t.match(await send(deliverer, 'next'), { kind: 'accepted' })
    t.equal(accepted.length, 2)
  },
)

/** A server that accepts connections and reads nothing. */
async function startDeaf(
  t: { teardown: (end: () => void) => void },
  greet: (socket: Socket) => void = () => undefined,
): Promise<{ url: URL; accepted: Socket[] }> {
  const accepted: Socket[] = []
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    accepted.push(socket)
    socket.on('error', () => undefined)
    greet(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of accepted) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: new URL(`http://127.0.0.1:${port}/`), accepted }
}

/** The bytes of the request that begins with this chunk. */
function lengthOf(chunk: Buffer): number {
  const head = chunk.subarray(0, chunk.indexOf('\r\n\r\n') + 4)
  return head.length + Number(/content-length: (\d+)/.exec(head.toString('latin1'))?.[1])
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
