import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { ResponseParser } from '../../src/deliver/response-parser.ts'
import type { Outcome } from '../../src/message/outcome.ts'
import type { ReferenceSource } from '../../src/message/reference.ts'
import { answer, send, startDeliverer, startProcessor, type Behaviour } from './processor.ts'

const json: ReferenceSource = { kind: 'json', pointer: '/id' }
const header: ReferenceSource = { kind: 'header', name: 'x-payment-id' }
const limit = 64 * 1024

/** The outcome of one request to a processor that answers with these bytes. */
async function outcomeOf(
  t: Test,
  given: string | Behaviour,
  reference: ReferenceSource | null,
  withinMs?: number,
): Promise<Outcome> {
  const behave = typeof given === 'string' ? (socket: Parameters<Behaviour>[0]) => socket.write(given) : given
  const { url } = await startProcessor(t, behave)
  return send(startDeliverer(t, url, { reference }), 'key-1', withinMs)
}

t.test('what the body calls the payment is read from an answer of any status', async (t) => {
  for (const [status, kind] of [
    ['200 OK', 'accepted'],
    ['402 Payment Required', 'refused'],
    ['503 Down', 'unavailable'],
    ['500 Broken', 'unknown'],
  ] as const) {
    const outcome = await outcomeOf(t, answer(status, '{"id":"pay_1"}'), json)
    t.match(outcome, { kind, reference: { text: 'pay_1' } }, status)
  }
})

t.test(
  'a body in pieces is read whole, and the next answer on the connection has a body of its own',
  async (t) => {
    const { url, ...processor } = await startProcessor(t, (socket, { key }) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
      for (const each of key === 'none' ? ['{}'] : ['{"i', `d":"${key.slice(0, 3)}`, `${key.slice(3)}"}`])
        socket.write(`${Buffer.byteLength(each).toString(16)}\r\n${each}\r\n`)
      socket.write('0\r\n\r\n')
    })
    const deliverer = startDeliverer(t, url, { reference: json, connections: 1 })
    t.match(await send(deliverer, 'first-payment'), { reference: { text: 'first-payment' } })
    t.match(await send(deliverer, 'second-payment'), { reference: { text: 'second-payment' } })
    t.match(await send(deliverer, 'none'), { reference: null })
    t.ok(processor.requests.length === 3)
  },
)

t.test(
  'a header of the answer is read, whatever the case of its name, and not one of another answer',
  async (t) => {
    const { url } = await startProcessor(t, (socket, { key }) => {
      const headers =
        key === 'with' ? 'X-Payment-ID:  pay 7 \r\nX-Payment-ID: other\r\n' : 'X-Payment-Id2: no\r\n'
      socket.write(`HTTP/1.1 103 Early Hints\r\nX-Payment-Id: early\r\n\r\n${answer('200 OK', '', headers)}`)
    })
    const deliverer = startDeliverer(t, url, { reference: header, connections: 1 })
    t.match(await send(deliverer, 'with'), { reference: { text: 'pay 7' } })
    t.match(await send(deliverer, 'without'), { kind: 'accepted', reference: null })
  },
)

t.test('a header with an underscore, and one that the client reads anyway, are found', async (t) => {
  const head = answer('200 OK', '', 'Payment_Id: a\r\nDate: today\r\n')
  t.match(await outcomeOf(t, head, { kind: 'header', name: 'payment_id' }), { reference: { text: 'a' } })
  t.match(await outcomeOf(t, head, { kind: 'header', name: 'date' }), { reference: { text: 'today' } })
})

t.test('a reference that is not kept changes nothing of the outcome', async (t) => {
  const id = (text: string) => answer('200 OK', JSON.stringify({ id: text }))
  for (const [given, fault] of [
    [id('4111 1111 1111 1111'), 'card_number'],
    [id('a\nb'), 'control_character'],
    [id('x'.repeat(129)), 'too_long'],
    [answer('200 OK', '{"id":[]}'), 'not_text'],
    [answer('200 OK', `{"id":"a","more":"${'x'.repeat(limit)}"}`), 'body_too_long'],
  ] as const)
    t.strictSame(
      await outcomeOf(t, given, json),
      { kind: 'accepted', statusCode: 200, reference: { fault } },
      fault,
    )
})

t.test('a body of exactly the limit is read', async (t) => {
  const start = '{"id":"a","more":"'
  const body = `${start}${'x'.repeat(limit - start.length - 2)}"}`
  t.equal(Buffer.byteLength(body), limit)
  t.match(await outcomeOf(t, answer('200 OK', body), json), { reference: { text: 'a' } })
})

t.test('an answer that is no JSON, or is compressed, has none', async (t) => {
  t.match(await outcomeOf(t, answer('200 OK', '<html>'), json), { kind: 'accepted', reference: null })
  const packed = gzipSync('{"id":"a"}')
  const compressed: Behaviour = (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${packed.length}\r\n\r\n`)
    socket.write(packed)
  }
  t.match(await outcomeOf(t, compressed, json), { kind: 'accepted', reference: null })
})

t.test('a header is evidence of an answer that broke, and half a body is not', async (t) => {
  const broken: Behaviour = (socket) =>
    socket.end('HTTP/1.1 200 OK\r\nX-Payment-Id: a\r\nContent-Length: 99\r\n\r\n{"id":"a"}')
  t.match(await outcomeOf(t, broken, header), { kind: 'unknown', statusCode: 200, reference: { text: 'a' } })
  t.match(await outcomeOf(t, broken, json), { kind: 'unknown', statusCode: 200, reference: null })
  const hanging: Behaviour = (socket) =>
    socket.write('HTTP/1.1 200 OK\r\nX-Payment-Id: a\r\nContent-Length: 99\r\n\r\n{"id":"a"}')
  t.match(await outcomeOf(t, hanging, header, 300), { kind: 'unknown', reference: { text: 'a' } })
})

t.test('where nobody looks for it, and where no answer came, nothing is said of it', async (t) => {
  const given = answer('200 OK', '{"id":"a"}', 'X-Payment-Id: a\r\n')
  t.strictSame(await outcomeOf(t, given, null), { kind: 'accepted', statusCode: 200 })
  const lost = await outcomeOf(t, (socket) => socket.destroy(), header)
  t.match(lost, { kind: 'unknown', statusCode: null })
  t.notOk('reference' in lost)
})

t.test('a body in chunks of one byte each takes no more memory than another', (t) => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const head = Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
  const chunks = Buffer.from('1\r\n1\r\n'.repeat(10_000))
  collect()
  const before = process.memoryUsage().heapUsed
  const parsers = Array.from({ length: 20 }, () => new ResponseParser(json))
  for (const parser of parsers) {
    parser.expect()
    parser.read(head, head.length)
    for (let read = 0; read < 6; read += 1) parser.read(chunks, chunks.length)
  }
  collect()
  const bytes = (process.memoryUsage().heapUsed - before) / parsers.length
  t.ok(bytes < limit, `${bytes} bytes of the heap for each`)
  t.match(
    parsers.map((parser) => parser.reference()),
    parsers.map(() => null),
    'and none of them has come to its end',
  )
  for (const parser of parsers) parser.free()
  t.end()
})
