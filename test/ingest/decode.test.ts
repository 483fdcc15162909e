import { createHash } from 'node:crypto'
import fc from 'fast-check'
import type { IHeaders, KafkaMessage } from 'kafkajs'
import t from 'tap'
import { cutBytes, decode } from '../../src/ingest/decode.ts'

const limit = 16 * 1024 * 1024

t.test('a record with an identity is a message, whatever else its value holds', async (t) => {
  const values: [string, string][] = [
    ['{"transaction_id":"tx-1"}', 'tx-1'],
    ['  {"amount":"1.00","transaction_id" : "tx-1"}\n', 'tx-1'],
    ['{"transaction\\u005Fid":"tx-1"}', 'tx-1'],
    ['{"transaction_id":"t\\u0078-1"}', 'tx-1'],
    ['{"transaction_id":"tx-1","note":"\\u0000"}', 'tx-1'],
    ['{"transaction_id":"tx-1","note":"\\ud800"}', 'tx-1'],
    ['{"transaction_id":"tx-1","amount":1e400}', 'tx-1'],
    [`{"transaction_id":"tx-1","amount":1e${'9'.repeat(1_000)}}`, 'tx-1'],
    ['{"transaction_id":"tx-1","amount":9007199254740993}', 'tx-1'],
    ['{"transaction_id":"tx-1","a":1,"a":2}', 'tx-1'],
    ['{"transaction_id":"tx-1","__proto__":{"transaction_id":"tx-2"}}', 'tx-1'],
    ['{"transaction_id":"tx-1","inner":{"transaction_id":"tx-2"},"list":["transaction_id"]}', 'tx-1'],
    ['{"transaction_id":"TX-1"}', 'TX-1'],
    ['{"transaction_id":"Überweisung 😀/%\'\\""}', 'Überweisung 😀/%\'"'],
    ['{"transaction_id":"\\ud83d\\ude00"}', '😀'],
    [`{"transaction_id":"${'x'.repeat(255)}"}`, 'x'.repeat(255)],
    [`{"transaction_id":"${'é'.repeat(127)}x"}`, `${'é'.repeat(127)}x`],
    ['{"transaction_id":"Record:1"}', 'Record:1'],
    ['{"transaction_id":" "}', ' '],
  ]
  for (const [value, transactionId] of values) {
    const decoded = read(value)
    t.match(
      decoded,
      { transactionId, rejection: null, isJson: true, payloadState: 'whole' },
      value.slice(0, 80),
    )
    t.ok(decoded.payload?.equals(Buffer.from(value)))
  }
})

t.test('a record without an identity is rejected with the reason, under the name of its place', async (t) => {
  const id = (text: string) => `{"transaction_id":"${text}"}`
  const values: [string | Buffer | null, RegExp, boolean][] = [
    [null, /no value/, false],
    ['', /empty/, false],
    [Buffer.from([0x7b, 0xff, 0x7d]), /not UTF-8/, false],
    [Buffer.from('{"transaction_id":"\xe9"}', 'latin1'), /not UTF-8/, false],
    [Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), /not UTF-8/, false],
    [Buffer.from(id('tx-1'), 'utf16le'), /not JSON/, false],
    [`\ufeff${id('tx-1')}`, /byte order mark/, false],
    ['{"transaction_id":"tx-1"', /not JSON/, false],
    ["{'transaction_id':'tx-1'}", /not JSON/, false],
    [`${id('tx-1')}\u0000`, /not JSON/, false],
    ['{"transaction_id":"tx-1",}', /not JSON/, false],
    ['{"transaction_id":NaN}', /not JSON/, false],
    ['"tx-1"', /not an object/, true],
    ['null', /not an object/, true],
    ['17', /not an object/, true],
    [`[${id('tx-1')}]`, /not an object/, true],
    ['{}', /no transaction_id/, true],
    ['{"inner":{"transaction_id":"tx-1"}}', /no transaction_id/, true],
    ['{"__proto__":{"transaction_id":"tx-1"}}', /no transaction_id/, true],
    ['{"Transaction_ID":"tx-1"}', /no transaction_id/, true],
    ['{"transaction_id":1}', /not a string/, true],
    ['{"transaction_id":null}', /not a string/, true],
    ['{"transaction_id":["tx-1"]}', /not a string/, true],
    ['{"transaction_id":{"transaction_id":"tx-1"}}', /not a string/, true],
    ['{"transaction_id":"tx-1","transaction_id":"tx-1"}', /more than once/, true],
    ['{"transaction_id":"tx-1","transaction\\u005fid":"tx-2"}', /more than once/, true],
    ['{"transaction_id":1,"a":2,"\\u0074ransaction_id":"tx-1"}', /more than once/, true],
    [id(''), /is empty/, true],
    [id('x'.repeat(256)), /256 bytes; 255/, true],
    [id('é'.repeat(128)), /256 bytes; 255/, true],
    [id('tx\\r\\nX-Evil: 1'), /control character/, true],
    [id('tx\\u0000'), /control character/, true],
    [id('tx\\t'), /control character/, true],
    [id('tx\u007f'), /control character/, true],
    [id('tx\u0085'), /control character/, true],
    [id('tx\\u009b'), /control character/, true],
    ...[0x061c, 0x200e, 0x200f, 0x202a, 0x202e, 0x2066, 0x2069].map((code): [string, RegExp, boolean] => [
      id(`tx${String.fromCharCode(code)}`),
      /bidi/,
      true,
    ]),
    [id('\\ud800'), /surrogate/, true],
    [id('\\ude00\\ud83d'), /surrogate/, true],
    [id('record:transactions.incoming:0:1'), /begins with record:/, true],
  ]
  for (const [value, rejection, isJson] of values) {
    const decoded = read(value)
    const label = JSON.stringify(String(value))
      .replace(/[^ -~]/g, '?')
      .slice(0, 60)
    t.match(decoded.rejection, rejection, label)
    t.match(decoded.rejection, /^[A-Z].*\.$/, 'it is a sentence')
    t.match(decoded, { transactionId: 'record:transactions.incoming:3:17', isJson }, label)
  }
})

t.test('a rejected record keeps its bytes, its size and their hash', async (t) => {
  t.match(read(null), { payload: null, payloadState: 'absent', payloadBytes: 0, sha256: sha256('') })
  t.match(read(''), { payload: Buffer.alloc(0), payloadState: 'whole', payloadBytes: 0, sha256: sha256('') })
  t.match(read('oops'), {
    payload: Buffer.from('oops'),
    payloadState: 'whole',
    payloadBytes: 4,
    sha256: sha256('oops'),
  })
})

t.test(
  'a value over the limit is rejected with hash and size of the whole and its first 64 KiB',
  async (t) => {
    const value = `{"transaction_id":"tx-1","note":"${'x'.repeat(100_000)}"}`
    t.match(decode(record({ value: Buffer.from(value) }), 'topic', 0, value.length), {
      rejection: null,
      payloadState: 'whole',
    })
    const over = decode(record({ value: Buffer.from(value) }), 'topic', 0, value.length - 1)
    t.match(over, { payloadState: 'cut', payloadBytes: value.length, sha256: sha256(value), isJson: false })
    t.match(over.rejection, new RegExp(`${value.length} bytes; ${value.length - 1} are allowed`))
    t.ok(over.payload?.equals(Buffer.from(value.slice(0, cutBytes))))
    t.equal(
      decode(record({ value: Buffer.from('{"a":1}') }), 'topic', 0, 3).payloadState,
      'whole',
      'nothing was cut',
    )
  },
)

t.test('a value of 10 MB is a message', async (t) => {
  const value = `{"note":"${'é'.repeat(5_000_000)}","transaction_id":"tx-1"}`
  t.match(read(value), {
    transactionId: 'tx-1',
    rejection: null,
    isJson: true,
    payloadBytes: Buffer.byteLength(value),
  })
})

t.test('depth is no reason to reject, but deeper than 1,000 is not for the json type', async (t) => {
  const deep = (depth: number) =>
    `{"transaction_id":"tx-1","a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`
  t.match(read(deep(1_000)), { transactionId: 'tx-1', rejection: null, isJson: true })
  t.match(read(deep(1_001)), { transactionId: 'tx-1', rejection: null, isJson: false })
  t.match(read(deep(100_000)), { transactionId: 'tx-1', rejection: null, isJson: false })
})

t.test('key, headers and timestamp are kept as they came and reject nothing', async (t) => {
  const value = Buffer.from('{"transaction_id":"tx-1"}')
  t.match(decode(record({ value, key: null, timestamp: '-1' }), 'topic', 0, limit), {
    key: null,
    timestampMs: null,
    headers: null,
  })
  const key = Buffer.from([0xff, 0x00, 0xfe])
  const decoded = decode(record({ value, key, timestamp: '9223372036854775807' }), 'topic', 0, limit)
  t.match(decoded, { rejection: null, timestampMs: 9223372036854775807n })
  t.ok(decoded.key?.equals(key))
  t.equal(decode(record({ value, timestamp: '-9223372036854775808' }), 'topic', 0, limit).timestampMs, null)
})

t.test('headers keep every byte, repeated and null ones too', async (t) => {
  const headers = {
    plain: Buffer.from('a'),
    binary: Buffer.from([0xff, 0x00]),
    repeated: [Buffer.from('1'), null, Buffer.from('2')],
    missing: null,
    '': Buffer.alloc(0),
    'nul\u0000': Buffer.from('b'),
    ['__proto__']: Buffer.from('c'),
  } as unknown as IHeaders
  const decoded = decode(record({ headers }), 'topic', 0, limit)
  t.strictSame(JSON.parse(decoded.headers!), [
    ['plain', 'YQ=='],
    ['binary', '/wA='],
    ['repeated', 'MQ=='],
    ['repeated', null],
    ['repeated', 'Mg=='],
    ['missing', null],
    ['', ''],
    ['nul\u0000', 'Yg=='],
    ['__proto__', 'Yw=='],
  ])
})

t.test('the first traceparent is passed on if it can be a header as it stands', async (t) => {
  const traced = (...values: (string | null)[]) => {
    const buffers = values.map((value) => (value === null ? null : Buffer.from(value)))
    const headers = {
      traceparent: buffers.length === 1 ? buffers[0] : buffers,
    } as unknown as IHeaders
    return decode(record({ headers }), 'topic', 0, limit).traceparent
  }
  const clean = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  t.equal(traced(clean), clean)
  t.equal(traced(clean, 'another'), clean)
  for (const unclean of [null, '', 'a b', 'a\r\nX-Evil: 1', 'é', 'a\u0000', 'x'.repeat(256)])
    t.equal(traced(unclean), null)
  t.equal(traced(null, clean), null)
})

t.test('thousands of headers are kept', async (t) => {
  const headers = Object.fromEntries(
    Array.from({ length: 16_000 }, (_, at) => [`h${at}`, Buffer.from(String(at))]),
  )
  const decoded = decode(record({ headers }), 'topic', 0, limit)
  t.equal((JSON.parse(decoded.headers!) as unknown[]).length, 16_000)
})

t.test(
  'no bytes make it throw, and every record is either a message or rejected under its own name',
  async () => {
    const value = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      fc.json().map((json) => Buffer.from(json)),
    )
    fc.assert(
      fc.property(
        fc.option(value),
        fc.option(fc.uint8Array()),
        fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
        (value, key, offset) => {
          const decoded = decode(
            record({ value, key: key && Buffer.from(key), offset: String(offset) }),
            'topic',
            5,
            150,
          )
          const isOwnName = decoded.transactionId === `record:topic:5:${offset}`
          return (
            decoded.offset === offset &&
            isOwnName === (decoded.rejection !== null) &&
            decoded.sha256.equals(sha256(value ?? ''))
          )
        },
      ),
      { numRuns: 2_000 },
    )
  },
)

t.test('a string that is fit as an identity comes through as it is, however it is escaped', async () => {
  const fit = fc
    .string({ minLength: 1, maxLength: 60, unit: 'grapheme' })
    .filter((text) => !/[\p{Cc}\p{Cs}\p{Bidi_Control}]/u.test(text) && Buffer.byteLength(text) <= 255)
  fc.assert(
    fc.property(fit, fc.boolean(), (transactionId, escaped) => {
      const json = JSON.stringify({ amount: '1.00', transaction_id: transactionId })
      const value = escaped
        ? json.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
        : json
      return read(value).transactionId === transactionId
    }),
    { numRuns: 2_000 },
  )
})

function read(value: string | Buffer | null) {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value
  return decode(record({ value: bytes }), 'transactions.incoming', 3, limit)
}

function record(fields: Partial<KafkaMessage>): KafkaMessage {
  return {
    key: null,
    value: null,
    timestamp: '1',
    attributes: 0,
    offset: '17',
    headers: {},
    ...fields,
  } as KafkaMessage
}

function sha256(value: string | Buffer): Buffer {
  return createHash('sha256').update(value).digest()
}
