import { createHash } from 'node:crypto'
import { CompressionTypes, Kafka, logLevel, type IHeaders, type Message, type Producer } from 'kafkajs'
import t, { type Test } from 'tap'
import { idempotencyKey } from '../../src/message/idempotency-key.ts'
import { setUpLine, type Line } from '../support/line.ts'
import { startReadyService } from '../support/service.ts'
import { until } from '../support/until.ts'

const recordBytesMax = 10_500_000
const cutBytes = 64 * 1024

/** What a record's own event is. `received` stands for: its very bytes are sent, once; nothing of any other is. */
type Event = 'received' | 'rejected' | 'duplicate_received' | 'conflict_received'
type Row = [what: string, event: Event, record: Message | string, reason?: RegExp]

function bytes(text: string): Buffer {
  return Buffer.from(text)
}

/** A transaction whose value says no more than its id. */
function of(id: string): Buffer {
  return bytes(JSON.stringify({ transaction_id: id }))
}

function valueOfSize(id: string, size: number): Buffer {
  const [head, tail] = [`{"transaction_id":"${id}","a":"`, '"}']
  return bytes(head + 'x'.repeat(size - head.length - tail.length) + tail)
}

function many(headers: number): IHeaders {
  return Object.fromEntries(Array.from({ length: headers }, (_, at) => [`header-${at}`, `value-${at}`]))
}

const deep = `{"transaction_id":"deep","a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
const badUtf8 = Buffer.concat([bytes('{"transaction_id":"bad-utf-8","a":"'), Buffer.of(0xff), bytes('"}')])
const byteOrderMark = Buffer.concat([Buffer.of(0xef, 0xbb, 0xbf), of('byte-order-mark')])
const known = '{"transaction_id":"known","amount":1}'

const rows: Row[] = [
  ['a null value', 'rejected', { value: null }, /no value/],
  ['an empty value', 'rejected', { value: Buffer.alloc(0) }, /empty/],
  ['a null key', 'received', { value: of('null-key'), key: null }],
  ['a key that is not UTF-8', 'received', { value: of('odd-key'), key: Buffer.of(0xff, 0x00, 0xfe) }],
  ['a body that is not UTF-8', 'rejected', { value: badUtf8 }, /not UTF-8/],
  ['a byte order mark', 'rejected', { value: byteOrderMark }, /byte order mark/],
  ['truncated JSON', 'rejected', '{"transaction_id":"truncated"', /not JSON/],
  ['a scalar at the top', 'rejected', '"transaction_id"', /not an object/],
  ['null at the top', 'rejected', 'null', /not an object/],
  ['an array at the top', 'rejected', '[{"transaction_id":"array"}]', /not an object/],
  ['a depth of 100,000', 'received', deep],
  ['\\u0000 in a string', 'received', '{"transaction_id":"nul","a":"\\u0000"}'],
  ['half a surrogate pair', 'received', '{"transaction_id":"surrogate","a":"\\ud800"}'],
  ['a huge exponent', 'received', '{"transaction_id":"exponent","a":1e999999999,"b":-1E-999999999}'],
  [
    '1e400 and numbers that a float rounds',
    'received',
    '{"transaction_id":"1e400","a":1e400,"b":9007199254740993,"c":10.10}',
  ],
  ['a key twice', 'received', '{"a":1,"transaction_id":"double","a":2}'],
  ['__proto__', 'received', '{"__proto__":{"transaction_id":"other"},"transaction_id":"proto"}'],
  ['white space and escapes', 'received', '\r\n\t {"transaction_id" : "\\u0073paces" }\n'],
  ['no id', 'rejected', '{"id":"none"}', /no transaction_id/],
  ['an id in __proto__', 'rejected', '{"__proto__":{"transaction_id":"inherited"}}', /no transaction_id/],
  ['an empty id', 'rejected', { value: of('') }, /is empty/],
  ['a number as id', 'rejected', '{"transaction_id":7}', /not a string/],
  ['an id of 255 bytes', 'received', { value: of('y'.repeat(255)) }],
  ['an id of 256 bytes', 'rejected', { value: of('x'.repeat(256)) }, /256 bytes; 255/],
  ['an id with CR and LF', 'rejected', { value: of('line\r\nbreak') }, /control character/],
  ['an id with NUL', 'rejected', { value: of('nul\u0000') }, /control character/],
  ['an id with a bidi character', 'rejected', { value: of('bidi\u202e') }, /bidi character/],
  ['an id with half a surrogate pair', 'rejected', '{"transaction_id":"\\ud800"}', /surrogate/],
  ['the id twice', 'rejected', '{"transaction_id":"a","transaction_id":"a"}', /more than once/],
  ['an id that begins with record:', 'rejected', { value: of('record:a:0:1') }, /begins with record:/],
  ['an id of SQL', 'received', { value: of(`'; drop table message_events; --%`) }],
  ['an id in upper case', 'received', { value: of('CASE') }],
  ['an id that differs only by case', 'received', { value: of('case') }],
  ['a value of 10 MB', 'received', { value: valueOfSize('large', 10_000_000) }],
  [
    'a value over MAX_RECORD_BYTES',
    'rejected',
    { value: valueOfSize('over', recordBytesMax + 1) },
    /10500001 bytes; 10500000 are allowed/,
  ],
  ['a thousand headers', 'received', { value: of('headers'), headers: many(1_000) }],
  ['a repeated header', 'received', { value: of('repeated'), headers: { twice: ['one', 'other'] } }],
  [
    'null and empty headers',
    'received',
    { value: of('null-header'), headers: { none: null, empty: '' } as unknown as IHeaders },
  ],
  ['a timestamp of -1', 'received', { value: of('no-timestamp'), timestamp: '-1' }],
  ['an id for the first time', 'received', known],
  ['the same id with the same bytes', 'duplicate_received', { value: bytes(known), key: 'another' }],
  [
    'the same id with other bytes',
    'conflict_received',
    '{"transaction_id":"known","amount":2}',
    /other bytes: known/,
  ],
]

t.test(
  'each record becomes its event, and the good ones around it are delivered byte for byte',
  async (t) => {
    const line = await setUpLine(t, ['--success', '1'])
    const service = await startReadyService(t, {
      ...line.settings,
      DOWNSTREAM_TIMEOUT: '10',
      LEASE: '11',
      MAX_RECORD_BYTES: String(recordBytesMax),
    })
    const bad = rows.map(([, , record]) => (typeof record === 'string' ? { value: bytes(record) } : record))
    const good = rows.map((_, at) => of(`good-${at}`))
    const producer = await openProducer(t, line, 1)
    for (const [at, record] of bad.entries()) {
      for (const message of [record, { value: good[at]! }])
        await send(producer, line.topic, { ...message, partition: 0 })
    }

    const received = rows.flatMap(([, event], at) => (event === 'received' ? [bad[at]!.value as Buffer] : []))
    const deadLetters = rows.filter(
      ([, event]) => event === 'rejected' || event === 'conflict_received',
    ).length
    const messages = good.length + received.length + deadLetters
    t.match(await line.settled(messages), { success: messages - deadLetters, dead_letter: deadLetters })
    const accounted = await readAccounted(line, 2 * rows.length)
    for (const [at, row] of rows.entries()) {
      await t.test(row[0], (t) => {
        check(t, row, bad[at]!, accounted.get(2 * at) ?? [])
        t.match(accounted.get(2 * at + 1), [{ type: 'received' }], 'the record behind it is received')
        t.end()
      })
    }
    const delivered = await line.ledger()
    t.strictSame(
      delivered.map(({ sha256 }) => sha256).sort(),
      [...good, ...received].map(hash).sort(),
      'exactly the good ones and the received ones were sent, once and with their very bytes',
    )
    const keys = new Map(delivered.map((entry) => [entry.sha256, entry.key]))
    for (const { sha256, transaction_id: id } of [...accounted.values()].flat()) {
      if (keys.has(sha256) && id !== null) t.equal(keys.get(sha256), idempotencyKey(id))
    }
    t.ok((await fetch(`${service.url}/readyz`)).ok, 'the service is at work')
    await line.isClean(t)
  },
)

t.test('a gzip bomb stops its partition with the reason, and the other one goes on', async (t) => {
  const line = await setUpLine(t, ['--success', '1'])
  const service = await startReadyService(t, line.settings)
  const producer = await openProducer(t, line, 2)
  await send(producer, line.topic, { value: of('before'), partition: 0 })
  const bomb = { value: Buffer.alloc(70 * 1024 * 1024, '{'), partition: 0 }
  await send(producer, line.topic, bomb, CompressionTypes.GZIP)
  await send(producer, line.topic, { value: of('behind'), partition: 0 })
  await send(producer, line.topic, { value: of('other'), partition: 1 })
  const { stopped } = await findStopped(service.url)
  t.match(stopped, [
    {
      topic: line.topic,
      partition: 0,
      reason: /record batch at offset 1 cannot be decoded \(.+\)/,
    },
  ])
  await send(producer, line.topic, { value: of('later'), partition: 1 })
  t.match(await line.settled(3), { success: 3 })
  t.strictSame(
    (await line.ledger()).map((entry) => entry.transaction_id).sort(),
    ['before', 'later', 'other'],
    'what lies before it and beside it was sent, and nothing behind it',
  )
  t.equal((await fetch(`${service.url}/status`)).status, 200, 'the service as a whole is well')
  await line.isClean(t)
})

async function findStopped(url: string): Promise<{ stopped: unknown[] }> {
  let status: { stopped: unknown[] } = { stopped: [] }
  await until('the partition to be stopped', async () => {
    status = (await (await fetch(`${url}/status`)).json()) as typeof status
    return status.stopped.length > 0
  })
  return status
}

type Accounted = {
  type: string
  version: number
  status: string
  reason: string | null
  transaction_id: string | null
  sha256: string
  payload: Buffer | null
  payload_bytes: number
  key: Buffer | null
  headers: unknown
  timestamp_ms: string | null
}

/** Every event that accounts for a record, with what is kept of the record, by offset. */
async function readAccounted(line: Line, records: number): Promise<Map<number, Accounted[]>> {
  const byOffset = new Map<number, Accounted[]>()
  await until(`${records} records to be accounted for`, async () => {
    const { rows } = await line.pool.query<Accounted & { at: number }>(
      `select e.kafka_offset::int as at, e.type, e.version, e.status, e.reason, e.transaction_id,
          encode(e.payload_sha256, 'hex') as sha256, r.payload, r.payload_bytes, r.key, r.headers, r.timestamp_ms
        from message_events e left join records r using (message_id, version)
        where e.topic = $1 and e.partition = 0 order by e.kafka_offset, e.version`,
      [line.topic],
    )
    byOffset.clear()
    for (const { at, ...row } of rows) byOffset.set(at, [...(byOffset.get(at) ?? []), row])
    return byOffset.size === records
  })
  return byOffset
}

function check(t: Test, [, event, , reason]: Row, record: Message, found: Accounted[]): void {
  const value = record.value as Buffer | null
  const types = found.map(({ type }) => type)
  // A conflict stands with the original too.
  t.strictSame(types, event === 'conflict_received' ? [event, event] : [event])
  const [own] = found
  if (own === undefined) return
  if (reason === undefined) t.equal(own.reason, null)
  else t.match(own.reason, reason)
  t.equal(own.version === 1, event !== 'duplicate_received', 'it is a message of its own unless it is known')
  if (event === 'rejected' || event === 'conflict_received') {
    t.match(own, { status: 'dead_letter', transaction_id: /^record:[^:]+:0:\d+$/ })
  }
  t.equal(own.sha256, hash(value ?? Buffer.alloc(0)), 'the hash is that of the whole value')
  t.equal(own.payload_bytes, value?.length ?? 0)
  // A duplicate's bytes are kept with its message.
  const kept = event === 'duplicate_received' ? null : value
  const shown = kept !== null && kept.length > recordBytesMax ? kept.subarray(0, cutBytes) : kept
  t.ok(shown === null ? own.payload === null : own.payload?.equals(shown), 'its bytes are kept')
  t.ok(record.key ? own.key?.equals(Buffer.from(record.key)) : own.key === null, 'its key is kept')
  t.strictSame(own.headers, headersKept(record.headers), 'its headers are kept')
  t.equal(own.timestamp_ms === null, record.timestamp === '-1')
}

function headersKept(headers: IHeaders | undefined): unknown {
  if (headers === undefined) return null
  return Object.entries(headers).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value as string | null]).map((each) => [
      name,
      each === null ? null : Buffer.from(each as string).toString('base64'),
    ]),
  )
}

function hash(value: Buffer): string {
  return createHash('sha256').update(value).digest('hex')
}

async function openProducer(t: Test, line: Line, numPartitions: number): Promise<Producer> {
  const kafka = new Kafka({ brokers: line.brokers, logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  const configEntries = [{ name: 'max.message.bytes', value: String(20 * 1024 * 1024) }]
  await admin.createTopics({ topics: [{ topic: line.topic, numPartitions, configEntries }] })
  await admin.disconnect()
  const producer = kafka.producer()
  await producer.connect()
  t.teardown(() => producer.disconnect())
  return producer
}

async function send(
  producer: Producer,
  topic: string,
  message: Message,
  compression = CompressionTypes.None,
): Promise<void> {
  const byteLength = Buffer.byteLength.bind(Buffer)
  // kafkajs measures a header's value before it asks whether there is one, and writes a null one well.
  Buffer.byteLength = (text, encoding) => ((text as string | null) === null ? 0 : byteLength(text, encoding))
  try {
    await producer.send({ topic, messages: [message], compression })
  } finally {
    Buffer.byteLength = byteLength
  }
}
