import { randomBytes } from 'node:crypto'
import t from 'tap'
import { fixedHeaders } from '../../src/deliver/fixed-headers.ts'
import { answer, startDeliverer, startProcessor } from './processor.ts'

const accept = answer('200 OK')
const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

t.test('the request is a POST of exactly the received bytes, with our headers', async (t) => {
  const processor = await startProcessor(t, (socket) => socket.write(accept))
  const deliverer = startDeliverer(t, new URL('?route=a', processor.url))
  const body = randomBytes(300_000)
  const delivery = { body, idempotencyKey: 'arpplfgyduxscngwcfi624jgbwhxtzsx', attempt: 3, traceparent }
  t.match(await deliverer.deliver(delivery, performance.now() + 30_000), {
    kind: 'accepted',
    statusCode: 200,
  })
  const [request] = processor.requests
  t.ok(request!.body.equals(body), 'the bytes are the same')
  t.strictSame(
    request!.head.split('\r\n'),
    [
      'POST /process?route=a HTTP/1.1',
      `host: ${processor.url.host}`,
      'connection: keep-alive',
      'Content-Type: application/json',
      'Idempotency-Key: arpplfgyduxscngwcfi624jgbwhxtzsx',
      'X-Attempt: 3',
      `traceparent: ${traceparent}`,
      'content-length: 300000',
    ],
    'nothing else is sent',
  )
})

t.test('an empty body is sent as content-length 0', async (t) => {
  const processor = await startProcessor(t, (socket) => socket.write(accept))
  const deliverer = startDeliverer(t, processor.url)
  const delivery = { body: Buffer.alloc(0), idempotencyKey: 'k', attempt: 1, traceparent: null }
  t.match(await deliverer.deliver(delivery, performance.now() + 30_000), { kind: 'accepted' })
  t.match(processor.requests[0]!.head, /\r\ncontent-length: 0$/)
})

t.test('a traceparent that is not in the W3C format is left out, and the request is sent', async (t) => {
  const processor = await startProcessor(t, (socket) => socket.write(accept))
  const deliverer = startDeliverer(t, processor.url)
  const illegal = [
    '',
    'x',
    `${traceparent}\r\nX-Injected: 1`,
    `${traceparent}\n`,
    traceparent.toUpperCase(),
    traceparent.replace(/^00/, 'ff'),
    `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
    `00-0af7651916cd43dd8448eb211c80319c-${'0'.repeat(16)}-01`,
    `${traceparent}-é\u0000`,
  ]
  for (const each of illegal) {
    const delivery = { body: Buffer.from('{}'), idempotencyKey: 'k', attempt: 1, traceparent: each }
    t.match(await deliverer.deliver(delivery, performance.now() + 30_000), { kind: 'accepted' })
  }
  t.equal(processor.requests.length, illegal.length)
  t.notMatch(processor.received(), /traceparent|injected/i)
})

t.test('a tracestate goes with its traceparent, and a later version of either is passed on', async (t) => {
  const processor = await startProcessor(t, (socket) => socket.write(accept))
  const deliverer = startDeliverer(t, processor.url)
  const later = `${traceparent.replace(/^00/, 'cc')}-more`
  const sent: [string | null, string | null, RegExp][] = [
    [traceparent, 'a=1,b=2', /\r\ntraceparent: 00-[^\r]*\r\ntracestate: a=1,b=2\r\n/],
    [later, null, /\r\ntraceparent: cc-[^\r]*-more\r\ncontent-length/],
    [`${traceparent}-more`, 'a=1', /\r\nX-Attempt: 1\r\ncontent-length/],
    [null, 'a=1', /\r\nX-Attempt: 1\r\ncontent-length/],
    [traceparent, 'a=1\r\nX-Injected: 1', /\r\ntraceparent: 00-[^\r]*\r\ncontent-length/],
    [traceparent, `a=${'1'.repeat(511)}`, /\r\ntraceparent: 00-[^\r]*\r\ncontent-length/],
  ]
  for (const [at, [parent, tracestate, head]] of sent.entries()) {
    const delivery = {
      body: Buffer.from('{}'),
      idempotencyKey: 'k',
      attempt: 1,
      traceparent: parent,
      tracestate,
    }
    t.match(await deliverer.deliver(delivery, performance.now() + 30_000), { kind: 'accepted' })
    t.match(processor.requests[at]!.head, head)
  }
})

t.test('settings add headers and replace the content type, but never the key and the attempt', async (t) => {
  const processor = await startProcessor(t, (socket) => socket.write(accept))
  const headers = {
    'X-API-Key': 'secret',
    'content-type': 'application/vnd.bank+json',
    'IDEMPOTENCY-KEY': 'forged',
    'x-attempt': '99',
    Traceparent: traceparent,
    Host: 'payments.example',
  }
  const deliverer = startDeliverer(t, processor.url, { headers })
  const delivery = { body: Buffer.from('{}'), idempotencyKey: 'k', attempt: 2, traceparent: null }
  await deliverer.deliver(delivery, performance.now() + 30_000)
  t.strictSame(processor.requests[0]!.head.split('\r\n').slice(1), [
    'host: payments.example',
    'connection: keep-alive',
    'content-type: application/vnd.bank+json',
    'X-API-Key: secret',
    'Idempotency-Key: k',
    'X-Attempt: 2',
    'content-length: 2',
  ])
})

t.test(
  'the user and password of the URL become basic credentials, unless a header gives others',
  async (t) => {
    const url = new URL('http://al%C3%AF%3Ace:p%40ss@127.0.0.1/')
    t.strictSame(fixedHeaders(url, {}).slice(2), [
      'Authorization',
      `Basic ${Buffer.from('alï:ce:p@ss').toString('base64')}`,
    ])
    t.strictSame(fixedHeaders(url, { authorization: 'Bearer x' }).slice(2), ['authorization', 'Bearer x'])
    t.throws(() => fixedHeaders(new URL('http://a:%FF@127.0.0.1/'), {}), /password in the URL/)
  },
)

t.test('a header that cannot be sent is refused at the start, by name and without its value', async (t) => {
  const refused: [string, string, RegExp][] = [
    ['Content-Length', '5', /^the header Content-Length describes/],
    ['transfer-encoding', 'chunked', /^the header transfer-encoding describes/],
    ['Expect', '100-continue', /^the header Expect describes/],
    ['X-Secret', 'hunter2\r\nX-Injected: 1', /^the header "X-Secret" has an illegal name or value$/],
    ['X Secret', 'hunter2', /^the header "X Secret" has an illegal name or value$/],
  ]
  for (const [name, value, message] of refused) {
    t.throws(() => startDeliverer(t, new URL('http://127.0.0.1/'), { headers: { [name]: value } }), {
      message,
    })
  }
})
