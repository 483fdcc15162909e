import dns from 'node:dns'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { makeCertificates } from '../support/certificates.ts'
import { answer, send, startDeliverer, startProcessor } from './processor.ts'

const { ca, server } = makeCertificates(t)
const trusting = { ca, cert: null, key: null }

/** `localhost` gets a first address that nobody listens on; of what is tried here only DNS is not real. */
function addDeadAddress(t: Test): void {
  const { lookup } = dns
  dns.lookup = ((_name: string, _options: dns.LookupOptions, callback: (...given: unknown[]) => void) => {
    const addresses = [
      { address: '::1', family: 6 },
      { address: '127.0.0.1', family: 4 },
    ]
    setImmediate(callback, null, addresses)
  }) as typeof dns.lookup
  t.teardown(() => {
    dns.lookup = lookup
  })
}

t.test('where the first address of a name is dead, the next one is used, with TLS too', async (t) => {
  const plain = await startProcessor(t, (socket) => socket.write(answer('200 OK')))
  const secure = await startProcessor(t, (socket) => socket.write(answer('200 OK')), {
    server: createTlsServer(server),
  })
  addDeadAddress(t)
  for (const processor of [plain, secure]) {
    const deliverer = startDeliverer(t, processor.url, { tls: trusting, connections: 1 })
    t.match(await send(deliverer, 'a'), { kind: 'accepted' }, processor.url.protocol)
    t.match(await send(deliverer, 'b'), { kind: 'accepted' }, processor.url.protocol)
    t.equal(processor.connections, 1)
  }
})

t.test('a TLS server is asked for the name in the URL, or in the Host header that was set', async (t) => {
  const names: (string | false | null)[] = []
  const listener = createTlsServer(server)
  listener.on('secureConnection', (socket: TLSSocket) => names.push(socket.servername))
  const processor = await startProcessor(t, (socket) => socket.write(answer('200 OK')), { server: listener })
  const byAddress = new URL(processor.url)
  byAddress.hostname = '127.0.0.1'
  const ways: [url: URL, headers: Record<string, string>, name: string | false][] = [
    [processor.url, {}, 'localhost'],
    [byAddress, {}, false],
    [byAddress, { Host: 'localhost:8443' }, 'localhost'],
  ]
  for (const [url, headers, name] of ways) {
    names.length = 0
    t.match(await send(startDeliverer(t, url, { headers, tls: trusting })), { kind: 'accepted' })
    t.strictSame(names, [name])
  }
})

t.test('the second connection offers the session of the first', async (t) => {
  const reused: boolean[] = []
  const listener = createTlsServer(server)
  listener.on('secureConnection', (socket: TLSSocket) => reused.push(socket.isSessionReused()))
  const processor = await startProcessor(t, (socket) => socket.end(answer('200 OK')), { server: listener })
  const deliverer = startDeliverer(t, processor.url, { tls: trusting, connections: 1 })
  for (let at = 0; at < 3; at += 1) t.match(await send(deliverer), { kind: 'accepted' })
  t.strictSame(reused, [false, true, true])
})
