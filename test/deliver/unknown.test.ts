import type { Socket } from 'node:net'
import t from 'tap'
import type { Outcome } from '../../src/message/outcome.ts'
import { answer, send, startDeliverer, startProcessor, until, type Behaviour } from './processor.ts'

type Unknown = Extract<Outcome, { kind: 'unknown' }>

const head200 = 'HTTP/1.1 200 OK\r\n'

function close(raw: string): Behaviour {
  return (socket) => socket.end(raw)
}

function stayOpen(raw: string): Behaviour {
  return (socket) => socket.write(raw)
}

/** Without a deadline near: each of these ends by itself. */
const broken: [name: string, behave: Behaviour, statusCode: number | null, reason: RegExp | string][] = [
  ['a connection closed before the answer', close(''), null, 'connection closed before the answer'],
  [
    'a connection reset before the answer',
    (socket) => socket.resetAndDestroy(),
    null,
    'connection reset before the answer',
  ],
  [
    'a connection closed in the status line',
    close('HTTP/1.1 20'),
    null,
    'connection closed before the answer',
  ],
  [
    'a connection closed in the headers',
    close(`${head200}Content-Le`),
    null,
    'connection closed before the answer',
  ],
  [
    'a body shorter than its content-length',
    close(`${head200}Content-Length: 10\r\n\r\n12345`),
    200,
    /^connection closed before the end of the answer \(HTTP 200\)$/,
  ],
  [
    'the same with Connection: close',
    close(`${head200}Connection: close\r\nContent-Length: 10\r\n\r\n12345`),
    200,
    'the answer does not keep to its content-length, broken before the end of the answer (HTTP 200)',
  ],
  [
    'a chunked answer without its last chunk',
    close(`${head200}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n`),
    200,
    /before the end of the answer \(HTTP 200\)$/,
  ],
  [
    'garbage for a chunk size',
    stayOpen(`${head200}Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`),
    200,
    'the answer is not HTTP/1.1 (Invalid character in chunk size), broken before the end of the answer (HTTP 200)',
  ],
  [
    'a content-length that is no number',
    stayOpen(`${head200}Content-Length: 4111111111111111x\r\n\r\n{}`),
    null,
    'the headers of the answer are not HTTP/1.1, broken before the answer',
  ],
  [
    'two content-lengths',
    stayOpen(`${head200}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`),
    null,
    'the headers of the answer are not HTTP/1.1, broken before the answer',
  ],
  [
    'content-length beside chunks',
    stayOpen(`${head200}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`),
    null,
    'the headers of the answer are not HTTP/1.1, broken before the answer',
  ],
  [
    'a control character in a header behind the content-length',
    stayOpen(answer('200 OK', '{}', 'X-A: \u001b[31mred\r\n')),
    null,
    'the headers of the answer are not HTTP/1.1, broken before the answer',
  ],
  [
    'another protocol',
    stayOpen('SSH-2.0-OpenSSH_9.9\r\n'),
    null,
    /^the answer is not HTTP\/1.1 \(Expected HTTP/,
  ],
  ['a status of two digits', stayOpen('HTTP/1.1 20 OK\r\n\r\n'), null, /^the answer is not HTTP\/1.1/],
  [
    'status 099',
    stayOpen('HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n'),
    null,
    /^the answer is not HTTP\/1.1/,
  ],
  [
    '101 Switching Protocols',
    stayOpen('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'),
    null,
    'the answer switches to another protocol',
  ],
  [
    'an interim answer and no other',
    close('HTTP/1.1 103 Early Hints\r\n\r\n'),
    null,
    'connection closed before the answer',
  ],
  ['a flood of interim answers', flood, null, 'over 100 interim answers, sent, no answer'],
  [
    'a header of 1 MB',
    stayOpen(`${head200}X-Long: ${'a'.repeat(1_000_000)}\r\n\r\n`),
    null,
    'the headers of the answer are too long',
  ],
  [
    '10,000 headers',
    stayOpen(`${head200}${'X-Many: 1234567890\r\n'.repeat(10_000)}\r\n`),
    null,
    'the headers of the answer are too long',
  ],
]

function flood(socket: Socket): void {
  const more = () => {
    while (socket.writable && socket.write('HTTP/1.1 102 Processing\r\n\r\n'.repeat(50)));
  }
  socket.on('drain', more)
  more()
}

for (const [name, behave, statusCode, reason] of broken) {
  t.test(`${name} is unknown, and the request is not repeated`, async (t) => {
    const processor = await startProcessor(t, behave)
    const deliverer = startDeliverer(t, processor.url)
    const outcome = await send(deliverer)
    t.match(outcome, { kind: 'unknown', statusCode, reason })
    t.equal((outcome as Unknown).statusCode, statusCode)
    await deliverer.close()
    t.equal(processor.requests.length, 1)
  })
}

t.test('a reset in the middle of an answer is unknown, whatever its status', async (t) => {
  for (const statusCode of [200, 503]) {
    const processor = await startProcessor(t, (socket, { key }) => {
      if (key === 'probe') socket.write(answer('200 OK'))
      else socket.write(`HTTP/1.1 ${statusCode} Any\r\nContent-Length: 10\r\n\r\n12345`)
    })
    const deliverer = startDeliverer(t, processor.url)
    const outcome = send(deliverer)
    await until(() => processor.requests.length === 1)
    // Asked after the half answer was written, so when it is answered the half answer has been read: a reset would
    // otherwise overtake it.
    await send(deliverer, 'probe')
    for (const socket of processor.sockets) socket.resetAndDestroy()
    const reason = `connection reset before the end of the answer (HTTP ${statusCode})`
    t.strictSame(await outcome, { kind: 'unknown', statusCode, reason })
    await deliverer.close()
    t.equal(processor.requests.length, 2)
  }
})

t.test('what does not end by the deadline is unknown, and says how far it came', async (t) => {
  const endless: [name: string, behave: Behaviour, statusCode: number | null, reason: string][] = [
    ['silence', () => undefined, null, 'timeout after 30 s, sent, no answer'],
    ['half a status line', stayOpen('HTTP/1.1 2'), null, 'timeout after 30 s, sent, no answer'],
    [
      'half a body',
      stayOpen(`${head200}Content-Length: 9\r\n\r\n12`),
      200,
      'timeout after 30 s, sent, answer (HTTP 200) not complete',
    ],
    ['a byte at a time', trickle, 200, 'timeout after 30 s, sent, answer (HTTP 200) not complete'],
    ['headers without end', drip, null, 'timeout after 30 s, sent, no answer'],
  ]
  const check = async ([name, behave, statusCode, reason]: (typeof endless)[number]) => {
    const processor = await startProcessor(t, behave)
    const deliverer = startDeliverer(t, processor.url)
    t.strictSame(await send(deliverer, 'k', 1_000), { kind: 'unknown', statusCode, reason }, name)
    await deliverer.close()
    t.equal(processor.requests.length, 1, name)
  }
  await Promise.all(endless.map(check))
})

function trickle(socket: Socket): void {
  socket.write(`${head200}Content-Length: 100000\r\n\r\n`)
  each(socket, 'x')
}

function drip(socket: Socket): void {
  socket.write(head200)
  each(socket, 'X-A: 1\r\n')
}

function each(socket: Socket, text: string): void {
  const timer = setInterval(() => socket.write(text), 10)
  socket.once('close', () => clearInterval(timer))
}
