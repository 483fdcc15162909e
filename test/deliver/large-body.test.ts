import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
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

t.test(
  'an answer before the body was read: the rest of the body still comes, and no other request behind it',
  async (t) => {
    const { url, accepted } = await startDeaf(t, (socket) => socket.write(answer('200 OK')))
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
    if (first !== undefined) await once(first, 'end')
    t.ok(read > body.length, `${read} bytes`)
  },
)

t.test(
  'an answer before the body was read, and nobody reads: the connection is dropped in the end',
  async (t) => {
    const { url, accepted } = await startDeaf(t, (socket) => socket.write(answer('200 OK')))
    const deliverer = startDeliverer(t, url, { connections: 1 })
    const body = Buffer.alloc(largeBytes, 'x')
    const delivery = { body, idempotencyKey: 'early', attempt: 1, traceparent: null }
    t.match(await deliverer.deliver(delivery, performance.now() + 120_000), { kind: 'accepted' })
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
