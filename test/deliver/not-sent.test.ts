import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { answer, send, startDeliverer, startProcessor } from './processor.ts'

t.test('a refused connection is not sent, and the next request tries again', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  const deliverer = startDeliverer(t, new URL(`http://127.0.0.1:${port}/`), { connections: 1 })
  const refused = { kind: 'not_sent', reason: `connection refused (127.0.0.1:${port})` }
  t.strictSame(await send(deliverer), refused)
  t.strictSame(await Promise.all([send(deliverer), send(deliverer), send(deliverer)]), [
    refused,
    refused,
    refused,
  ])
  const again = createServer((socket) => socket.once('data', () => socket.end(answer('200 OK'))))
  t.teardown(() => again.close())
  again.listen(port, '127.0.0.1')
  await once(again, 'listening')
  t.match(await send(deliverer), { kind: 'accepted' })
})

t.test('attempts on a processor that is down leave nothing in memory', async (t) => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const usedBytes = (): number => {
    collect()
    return process.memoryUsage().heapUsed
  }
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  const deliverer = startDeliverer(t, new URL(`http://127.0.0.1:${port}/`), { connections: 50 })
  const sendMany = async (rounds: number): Promise<void> => {
    for (let round = 0; round < rounds; round++)
      await Promise.all(Array.from({ length: 50 }, () => send(deliverer)))
  }
  await sendMany(40)
  const before = usedBytes()
  await sendMany(80)
  // What the last attempts hold until the next turns of the event loop, and V8's own ups and downs, come to under 2 MB. A listener
  // left behind by each, as there once was, is 14 MB.
  t.ok(usedBytes() - before < 5_000_000)
})

t.test('localhost that nobody listens on is one refused connection, whatever its addresses', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  const deliverer = startDeliverer(t, new URL(`http://localhost:${port}/`))
  t.strictSame(await send(deliverer), { kind: 'not_sent', reason: `connection refused (localhost:${port})` })
})

t.test('a host that has no address is not sent, and named', async (t) => {
  const deliverer = startDeliverer(t, new URL('http://no-such-host.invalid/'))
  const outcome = await send(deliverer)
  t.equal(outcome.kind, 'not_sent')
  // A machine without a resolver that answers says so instead.
  t.match(outcome, { reason: /^DNS: no (?:such host|answer) \(no-such-host\.invalid:80\)$/ })
})

t.test('an address that cannot be reached is not sent', async (t) => {
  // 255.255.255.255 is refused by the kernel before any packet, with an error that we have no words for.
  const deliverer = startDeliverer(t, new URL('http://255.255.255.255:9/'))
  t.match(await send(deliverer), { kind: 'not_sent', reason: /\(255\.255\.255\.255:9\)$/ })
})

t.test('a key that cannot be a header is not sent, and leaves its connection to the next', async (t) => {
  const processor = await startProcessor(t, (socket) => socket.write(answer('200 OK')))
  const deliverer = startDeliverer(t, processor.url, { connections: 1 })
  t.match(await send(deliverer, 'illegal\r\nkey'), {
    kind: 'not_sent',
    reason: /^not sent: ERR_INVALID_CHAR /,
  })
  t.match(await send(deliverer, 'legal'), { kind: 'accepted' })
  t.equal(processor.requests.length, 1)
})
