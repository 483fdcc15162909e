import { createServer } from 'node:tls'
import t from 'tap'
import { makeCertificates } from '../support/certificates.ts'
import { answer, send, startDeliverer, startProcessor, until, type Behaviour } from './processor.ts'

const proceed = 'HTTP/1.1 100 Continue\r\n\r\n'
const processing = 'HTTP/1.1 102 Processing\r\n\r\n'
const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n'

const interims: [name: string, text: string][] = [
  ['100 Continue', proceed],
  ['100 Continue with headers', 'HTTP/1.1 100 Continue\r\nServer: x\r\nDate: now\r\n\r\n'],
  ['several of them', proceed + proceed + proceed],
  ['all kinds, mixed', hints + proceed + processing + proceed + hints],
  ['as many as are borne', (proceed + processing).repeat(50)],
]

for (const [name, text] of interims) {
  t.test(`before the answer, ${name}: skipped, and the connection is used again`, async (t) => {
    const processor = await startProcessor(t, (socket, { key }) =>
      socket.write(text + answer(key === 'refused' ? '402 No' : '200 OK', '{}')),
    )
    const deliverer = startDeliverer(t, processor.url, { connections: 1 })
    const keys = ['a', 'refused', 'b', 'c']
    const outcomes = await Promise.all(keys.map((key) => send(deliverer, key)))
    t.strictSame(
      outcomes.map((outcome) => outcome.kind),
      ['accepted', 'refused', 'accepted', 'accepted'],
    )
    t.strictSame(
      processor.requests.map(({ key }) => key),
      keys,
      'each once',
    )
    t.equal(processor.connections, 1)
  })
}

t.test('an interim answer that comes a byte at a time is skipped too', async (t) => {
  const processor = await startProcessor(t, (socket) => {
    const bytes = Array.from(proceed + hints + answer('200 OK', '{}'))
    const next = () => {
      const byte = bytes.shift()
      if (byte !== undefined) socket.write(byte, () => setImmediate(next))
    }
    next()
  })
  t.match(await send(startDeliverer(t, processor.url)), { kind: 'accepted', statusCode: 200 })
})

t.test('100 Continue that comes while the body is still being sent is skipped', async (t) => {
  const body = Buffer.alloc(8 * 2 ** 20, 'x')
  const processor = await startProcessor(t, (socket) => socket.write(answer('201 Created')), {
    onConnection: (socket) => socket.once('data', () => socket.write(proceed)),
  })
  const delivery = { body, idempotencyKey: 'k', attempt: 1, traceparent: null }
  const outcome = await startDeliverer(t, processor.url).deliver(delivery, performance.now() + 30_000)
  t.match(outcome, { kind: 'accepted', statusCode: 201 })
  t.strictSame(
    processor.requests.map((request) => request.body.length),
    [body.length],
  )
})

t.test('over TLS 100 Continue is skipped as well', async (t) => {
  const { ca, server } = makeCertificates(t)
  const processor = await startProcessor(t, (socket) => socket.write(proceed + answer('200 OK')), {
    server: createServer(server),
  })
  const deliverer = startDeliverer(t, processor.url, { tls: { ca, cert: null, key: null }, connections: 1 })
  t.match(await send(deliverer, 'a'), { kind: 'accepted' })
  t.match(await send(deliverer, 'b'), { kind: 'accepted' })
  t.equal(processor.connections, 1)
})

const inDoubt: [name: string, behave: Behaviour, reason: string][] = [
  [
    'one more than are borne',
    (socket) => socket.write(proceed.repeat(101) + answer('200 OK')),
    'over 100 interim answers, sent, no answer',
  ],
  ['100 Continue and no other', (socket) => socket.end(proceed), 'connection closed before the answer'],
]

for (const [name, behave, reason] of inDoubt) {
  t.test(`${name}: unknown, and the request is not repeated`, async (t) => {
    const processor = await startProcessor(t, behave)
    const outcome = await send(startDeliverer(t, processor.url))
    t.strictSame(outcome, { kind: 'unknown', statusCode: null, reason })
    t.equal(processor.requests.length, 1)
    await until(() => processor.sockets.size === 0)
  })
}
