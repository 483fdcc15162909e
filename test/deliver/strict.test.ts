import t from 'tap'
import { answer, send, startDeliverer, startProcessor } from './processor.ts'

const head = 'HTTP/1.1 200 OK\r\n'
const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n`
const inHeaders = /^the headers of the answer are not HTTP\/1.1, broken before the answer \([\x20-\x7e]+\)$/
const inBody =
  /^the answer is not HTTP\/1.1 \([\x20-\x7e]+\), broken before the end of the answer \(HTTP 200\)$/

/** RFC 9112 §5, §6.3 and §7.1. Two readers of one answer that differ in it are how answers get mixed up. */
const broken: [name: string, raw: string, reason: RegExp][] = [
  ['a length and chunks', `${head}Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}`, inHeaders],
  ['chunks and a length', `${head}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}`, inHeaders],
  ['two lengths that differ', `${head}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`, inHeaders],
  ['two lengths that are the same', `${head}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}`, inHeaders],
  ['a list of lengths', `${head}Content-Length: 2, 2\r\n\r\n{}`, inHeaders],
  ['a negative length', `${head}Content-Length: -2\r\n\r\n{}`, inHeaders],
  ['a length with a sign', `${head}Content-Length: +2\r\n\r\n{}`, inHeaders],
  ['a length in hexadecimal', `${head}Content-Length: 0x2\r\n\r\n{}`, inHeaders],
  ['a length over 64 bits', `${head}Content-Length: 18446744073709551617\r\n\r\n{}`, inHeaders],
  ['a folded header', `${head}X-A: 1\r\n 2\r\nContent-Length: 2\r\n\r\n{}`, inHeaders],
  ['a space before the colon', `${head}Content-Length : 2\r\n\r\n{}`, inHeaders],
  ['a space in a name', `${head}X A: 1\r\nContent-Length: 2\r\n\r\n{}`, inHeaders],
  ['a NUL in a name', `${head}X-\0A: 1\r\nContent-Length: 2\r\n\r\n{}`, inHeaders],
  ['a NUL in a value', `${head}X-A: 1\0\r\nContent-Length: 2\r\n\r\n{}`, inHeaders],
  ['a byte over 127 in a name', `${head}X-\xe9: 1\r\nContent-Length: 2\r\n\r\n{}`, inHeaders],
  ['a header without a name', `${head}: 1\r\nContent-Length: 2\r\n\r\n{}`, inHeaders],
  ['a carriage return in a value', `${head}X-A: 1\r2\r\nContent-Length: 2\r\n\r\n{}`, inHeaders],
  ['a line feed alone in a value', `${head}X-A: 1\nContent-Length: 2\r\n\r\n{}`, inHeaders],
  ['a chunk size over 64 bits', `${chunked}10000000000000002\r\n{}\r\n0\r\n\r\n`, inBody],
  ['a chunk size without a digit', `${chunked}\r\n{}\r\n0\r\n\r\n`, inBody],
  ['a negative chunk size', `${chunked}-2\r\n{}\r\n0\r\n\r\n`, inBody],
  ['a space behind a chunk size', `${chunked}2 \r\n{}\r\n0\r\n\r\n`, inBody],
  ['a chunk longer than its size', `${chunked}2\r\n{}}\r\n0\r\n\r\n`, inBody],
  ['a bad trailer', `${chunked}2\r\n{}\r\n0\r\nX\0: 1\r\n\r\n`, inBody],
  [
    'no version',
    'HTTP 200 OK\r\n\r\n',
    /^the answer is not HTTP\/1.1 \([\x20-\x7e]+\), broken before the answer$/,
  ],
  [
    'HTTP/3.7',
    'HTTP/3.7 200 OK\r\n\r\n',
    /^the answer is not HTTP\/1.1 \([\x20-\x7e]+\), broken before the answer$/,
  ],
  ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n', /^the answer is not HTTP\/1.1/],
  [
    'a line feed alone behind the status',
    'HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\n{}',
    /^the (?:headers of the )?answer/,
  ],
]

for (const [name, raw, reason] of broken) {
  t.test(`an answer with ${name} is in doubt, and the next request goes on another connection`, async (t) => {
    const processor = await startProcessor(t, (socket, { key }) =>
      socket.write(key === 'broken' ? Buffer.from(raw, 'latin1') : answer('200 OK')),
    )
    const deliverer = startDeliverer(t, processor.url, { connections: 1 })
    const [first, second] = await Promise.all([send(deliverer, 'broken'), send(deliverer, 'next')])
    t.match(first, { kind: 'unknown', reason })
    t.strictSame(second, { kind: 'accepted', statusCode: 200 })
    t.strictSame(
      processor.requests.map(({ key, connection }) => [key, connection]),
      [
        ['broken', 1],
        ['next', 2],
      ],
    )
  })
}

t.test('a chunk of 4 GB is cut like any long answer, and its status counts', async (t) => {
  const processor = await startProcessor(t, (socket) =>
    socket.write(`${chunked}ffffffff\r\n${'x'.repeat(100_000)}`),
  )
  t.strictSame(await send(startDeliverer(t, processor.url)), { kind: 'accepted', statusCode: 200 })
})

t.test('a phrase or trailers without end are too long, like headers', async (t) => {
  const long = 'x'.repeat(70_000)
  const endless: [raw: string, statusCode: number | null][] = [
    [`HTTP/1.1 200 ${long}`, null],
    [`${chunked}0\r\nX-A: ${long}`, 200],
  ]
  for (const [raw, statusCode] of endless) {
    const processor = await startProcessor(t, (socket) => socket.write(raw))
    const outcome = await send(startDeliverer(t, processor.url))
    t.strictSame(outcome, { kind: 'unknown', statusCode, reason: 'the headers of the answer are too long' })
  }
})
