import type { Socket } from 'node:net'
import t from 'tap'
import { answer, send, startDeliverer, startProcessor, until, type Behaviour } from './processor.ts'

const limit = 64 * 1024

/** Writes for as long as the other side reads, up to 2 GB; says how much was taken. */
function endless(head: string): { behave: Behaviour; taken: () => number } {
  let written = 0
  const block = Buffer.alloc(64 * 1024, '8\r\nabcdefgh\r\n')
  const chunked = block.subarray(0, Math.floor(block.length / 13) * 13)
  return {
    behave: (socket: Socket) => {
      const more = () => {
        while (socket.writable && written < 2 ** 31) {
          written += chunked.length
          if (!socket.write(chunked)) return
        }
      }
      socket.write(head)
      socket.on('drain', more)
      more()
    },
    taken: () => written,
  }
}

const forms: [name: string, headers: string][] = [
  ['with a length', 'Content-Length: 2147483648'],
  ['in chunks', 'Transfer-Encoding: chunked'],
  ['until the connection closes', 'Connection: close'],
]

for (const [name, headers] of forms) {
  t.test(`an answer of 2 GB ${name} is cut, its connection dropped, and its status counts`, async (t) => {
    const accepted = endless(`HTTP/1.1 200 OK\r\n${headers}\r\n\r\n`)
    const processor = await startProcessor(t, accepted.behave)
    t.strictSame(await send(startDeliverer(t, processor.url)), { kind: 'accepted', statusCode: 200 })
    await until(() => [...processor.sockets].every((socket) => socket.destroyed || socket.bytesWritten === 0))
    // What the kernel's socket buffers hold was written and never read.
    t.ok(accepted.taken() < 64 * 2 ** 20, `the processor could write ${accepted.taken()} bytes`)
    const unavailable = await startProcessor(t, endless(`HTTP/1.1 503 Down\r\n${headers}\r\n\r\n`).behave)
    t.match(await send(startDeliverer(t, unavailable.url)), { kind: 'unavailable', statusCode: 503 })
    t.equal(processor.requests.length, 1)
  })
}

t.test('an answer of exactly the limit is read to its end and its connection used again', async (t) => {
  const processor = await startProcessor(t, (socket) => socket.write(answer('200 OK', 'x'.repeat(limit))))
  const deliverer = startDeliverer(t, processor.url, { connections: 1 })
  t.match(await send(deliverer, 'a'), { kind: 'accepted' })
  t.match(await send(deliverer, 'b'), { kind: 'accepted' })
  t.equal(processor.connections, 1)
})

t.test('an answer a byte over the limit is cut, and the next request goes on a new connection', async (t) => {
  const processor = await startProcessor(t, (socket) => socket.write(answer('200 OK', 'x'.repeat(limit + 1))))
  const deliverer = startDeliverer(t, processor.url, { connections: 1 })
  t.match(await send(deliverer, 'a'), { kind: 'accepted' })
  t.match(await send(deliverer, 'b'), { kind: 'accepted' })
  t.strictSame(
    processor.requests.map((request) => [request.key, request.connection]),
    [
      ['a', 1],
      ['b', 2],
    ],
  )
})

t.test('an answer that ends with its connection has no stated end, so its status counts', async (t) => {
  const processor = await startProcessor(t, (socket, { key }) => {
    const status = key === 'a' ? '200 OK' : '503 Down'
    socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n{"half":`)
  })
  const deliverer = startDeliverer(t, processor.url)
  t.match(await send(deliverer, 'a'), { kind: 'accepted', statusCode: 200 })
  t.match(await send(deliverer, 'b'), { kind: 'unavailable', statusCode: 503 })
})
