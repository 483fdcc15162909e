import t from 'tap'
import { ResponseParser, type Progress } from '../../src/deliver/response-parser.ts'
import { answer, send, startDeliverer, startProcessor } from './processor.ts'

const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n'

const answers: [name: string, raw: string, outcome: object][] = [
  ['with a length', answer('200 OK', '{"a":1}'), { kind: 'accepted', statusCode: 200 }],
  [
    'in chunks, with an extension and a trailer',
    `${chunked}Trailer: X-Sum\r\n\r\n2;a=b\r\n{"\r\n5\r\na":1}\r\n0\r\nX-Sum: 1\r\nRetry-After: 9\r\n\r\n`,
    { kind: 'accepted', statusCode: 200 },
  ],
  ['without a body', 'HTTP/1.1 204 No Content\r\n\r\n', { kind: 'accepted', statusCode: 204 }],
  [
    'behind interim answers',
    `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\n\r\n${answer('200 OK', '{}')}`,
    { kind: 'accepted', statusCode: 200 },
  ],
  [
    'that asks for a delay, among headers that look alike',
    answer(
      '503 Down',
      'no',
      'Retry-Aft: 1\r\nRetry-After2: 2\r\nX-Empty:\r\nRETRY-after:  7 \r\nRetry-After: 3\r\n',
    ),
    { kind: 'unavailable', statusCode: 503, retryAfterMs: 7_000 },
  ],
  [
    'whose delay stands in a trailer, where it says nothing',
    'HTTP/1.1 503 Down\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\nRetry-After: 9\r\n\r\n',
    { kind: 'unavailable', statusCode: 503, retryAfterMs: null },
  ],
]

for (const [name, raw, outcome] of answers) {
  t.test(
    `an answer ${name}, a byte at a time, is the same answer, and its connection is used again`,
    async (t) => {
      const processor = await startProcessor(t, (socket) => {
        const bytes = Array.from(raw)
        const next = () => {
          const byte = bytes.shift()
          if (byte !== undefined) socket.write(byte, () => setImmediate(next))
        }
        next()
      })
      const deliverer = startDeliverer(t, processor.url, { connections: 1 })
      t.match(await send(deliverer, 'a'), outcome)
      t.match(await send(deliverer, 'b'), outcome)
      t.equal(processor.connections, 1)
      t.equal(processor.requests.length, 2)
    },
  )

  t.test(`an answer ${name}, cut in two at every place, is the same answer`, async (t) => {
    const parser = new ResponseParser()
    for (let at = 1; at < raw.length; at += 1) {
      parser.expect()
      const [first, second] = [raw.slice(0, at), raw.slice(at)].map((part) => read(parser, part))
      const found = { first, second, statusCode: parser.statusCode, after: parser.headers.get('retry-after') }
      const expected = {
        first: 'incomplete',
        second: 'complete',
        statusCode: (outcome as { statusCode: number }).statusCode,
        after: name.startsWith('that asks') ? found.after : null,
      }
      if (JSON.stringify(found) !== JSON.stringify(expected)) t.strictSame(found, expected, `cut at ${at}`)
      t.equal(parser.keepAlive, true)
    }
    parser.free()
  })
}

t.test(
  'what is behind an answer in the same piece is not read, and its connection is not to be used again',
  async (t) => {
    const parser = new ResponseParser()
    for (const rest of ['\r\n', 'x', answer('402 No'), '\0'.repeat(60_000)]) {
      parser.expect()
      t.equal(read(parser, answer('200 OK', '{}') + rest), 'complete')
      t.match(parser, { statusCode: 200, keepAlive: false }, JSON.stringify(rest.slice(0, 10)))
    }
    parser.expect()
    t.equal(read(parser, answer('402 No')), 'complete', 'the parser is good for the next answer')
    t.match(parser, { statusCode: 402, keepAlive: true })
    parser.free()
  },
)

t.test('many parsers take turns in the middle of their answers', async (t) => {
  const raws = ['200', '503'].map((status) => answer(status, 'x'.repeat(50), 'Retry-After: 5\r\n'))
  const parsers = Array.from({ length: 2_000 }, () => new ResponseParser())
  for (const parser of parsers) parser.expect()
  let last: Progress[] = []
  for (let at = 0; at < 110; at += 10) {
    last = parsers.map((parser, index) => read(parser, (raws[index % 2] ?? '').slice(at, at + 10)))
  }
  t.strictSame(new Set(last), new Set(['complete']))
  for (const [index, parser] of parsers.entries()) {
    if (parser.statusCode !== (index % 2 === 0 ? 200 : 503) || parser.headers.get('retry-after') !== '5')
      t.fail(`parser ${index} has ${parser.statusCode}`)
    parser.free()
  }
})

function read(parser: ResponseParser, text: string): Progress {
  const bytes = Buffer.from(text, 'latin1')
  return parser.read(bytes, bytes.length)
}
