import { createHash } from 'node:crypto'
import { Kafka, logLevel, type Message } from 'kafkajs'
import t from 'tap'
import { setUpLine, type Line } from '../support/line.ts'
import { startReadyService } from '../support/service.ts'
import { until } from '../support/until.ts'

type Sent = { value: Buffer | null; offset: string }

function bytes(text: string): Buffer {
  return Buffer.from(text)
}

/** A transaction whose value says no more than its id. */
function of(id: string): Buffer {
  return bytes(JSON.stringify({ transaction_id: id }))
}

function sha256(value: Buffer): string {
  return createHash('sha256').update(value).digest('hex')
}

/** Sends the records in their order to one partition, and says where each came to lie. */
async function send(line: Line, messages: Message[]): Promise<Sent[]> {
  const kafka = new Kafka({ brokers: line.brokers, logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic: line.topic, numPartitions: 1 }] })
  await admin.disconnect()
  const producer = kafka.producer()
  await producer.connect()
  const sent: Sent[] = []
  for (const message of messages) {
    const [answer] = await producer.send({ topic: line.topic, messages: [{ ...message, partition: 0 }] })
    sent.push({ value: message.value as Buffer | null, offset: answer!.baseOffset! })
  }
  await producer.disconnect()
  return sent
}

async function isAccountedFor(line: Line, records: number): Promise<void> {
  await until(`${records} records to be accounted for`, async () => {
    const { rows } = await line.pool.query<{ records: number }>(
      'select count(*)::int as records from message_events where kafka_offset is not null',
    )
    // A conflict stands with the original and with the record itself.
    const { conflict_received: conflicts = 0 } = await line.events()
    return rows[0]!.records - conflicts / 2 === records
  })
}

const rejected: Record<string, { value: Buffer | null; reason: RegExp }> = {
  'no value': { value: null, reason: /no value/ },
  'an empty value': { value: Buffer.alloc(0), reason: /empty/ },
  'no JSON': { value: bytes('{"transaction_id":"no-json"'), reason: /not JSON/ },
  'bad UTF-8': {
    value: Buffer.concat([bytes('{"transaction_id":"bad-'), Buffer.of(0xff), bytes('"}')]),
    reason: /not UTF-8/,
  },
  'a byte order mark': {
    value: Buffer.concat([Buffer.of(0xef, 0xbb, 0xbf), of('bom')]),
    reason: /byte order mark/,
  },
  'a scalar': { value: bytes('"transaction_id"'), reason: /not an object/ },
  'an array': { value: bytes('[{"transaction_id":"array"}]'), reason: /not an object/ },
  'no id': { value: bytes('{"id":"none"}'), reason: /no transaction_id/ },
  'an empty id': { value: of(''), reason: /is empty/ },
  'a number as id': { value: bytes('{"transaction_id":7}'), reason: /not a string/ },
  'an id of 300 bytes': { value: of('x'.repeat(300)), reason: /300 bytes; 255/ },
  'an id with a line break': { value: of('line\r\nbreak'), reason: /control character/ },
  'an id with NUL': { value: of('nul\u0000'), reason: /control character/ },
  'an id with a bidi character': { value: of('bidi\u202e'), reason: /bidi character/ },
  'an id with half a surrogate pair': { value: bytes('{"transaction_id":"\\ud800"}'), reason: /surrogate/ },
  'the id twice': { value: bytes('{"transaction_id":"a","transaction_id":"a"}'), reason: /more than once/ },
}

t.test(
  'a record that is no transaction becomes a dead letter of its own, and those around it are delivered',
  async (t) => {
    const line = await setUpLine(t, ['--success', '1'])
    await startReadyService(t, line.settings)
    const goods = Object.keys(rejected).map((_, at) => of(`good-${at}`))
    const sent = await send(
      line,
      Object.values(rejected).flatMap(({ value }, at) => [{ value }, { value: goods[at]! }]),
    )
    await isAccountedFor(line, sent.length)
    t.match(await line.settled(sent.length), { success: goods.length, dead_letter: goods.length })

    for (const [at, [what, { value, reason }]] of Object.entries(rejected).entries()) {
      const { rows } = await line.pool.query<{
        status: string
        error_message: string
        payload: Buffer | null
      }>(
        `select m.status, m.error_message, r.payload
        from messages m join records r on r.message_id = m.message_id and r.version = 1 where m.transaction_id = $1`,
        [`record:${line.topic}:0:${sent[2 * at]!.offset}`],
      )
      t.match(rows, [{ status: 'dead_letter', error_message: reason }], what)
      t.same(rows[0]?.payload, value, `${what}: its bytes are kept`)
    }
    const delivered = (await line.ledger()).map((entry) => entry.sha256)
    t.same(delivered.sort(), goods.map(sha256).sort(), 'the good ones were delivered, and nothing else was')
    await line.isClean(t)
  },
)

t.test('what is odd but legal is delivered byte for byte', async (t) => {
  const line = await setUpLine(t, ['--success', '1'])
  await startReadyService(t, line.settings)
  const manyHeaders = Array.from({ length: 300 }, (_, at) => [`header-${at}`, `value-${at}`])
  const messages: Message[] = [
    { value: bytes(`{"transaction_id":"deep","a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`) },
    { value: bytes('{"transaction_id":"surrogate","a":"\\ud800"}') },
    { value: bytes('{"transaction_id":"nul","a":"\\u0000"}') },
    { value: bytes('{"transaction_id":"huge","a":1e400,"b":9007199254740993,"c":10.10}') },
    { value: bytes('{"__proto__":{"transaction_id":"other"},"transaction_id":"proto"}') },
    { value: bytes('{"a":1,"transaction_id":"double","a":2}') },
    { value: bytes('\r\n\t {"transaction_id" : "\\u0073paces" }\n') },
    { value: bytes(`{"transaction_id":"large","a":"${'x'.repeat(3 * 1024 * 1024)}"}`) },
    { value: of('headers'), headers: Object.fromEntries(manyHeaders) as Record<string, string> },
    { value: of('empty-header'), headers: { empty: '' } },
    { value: of('repeated-header'), headers: { twice: ['one', 'other'] } },
    { value: of('odd-key'), key: Buffer.of(0xff, 0x00, 0xfe) },
    { value: of('null-key'), key: null },
    { value: of('no-timestamp'), timestamp: '-1' },
    { value: of('Case') },
    { value: of('case') },
    { value: of(`'; drop table message_events; --%`) },
  ]
  const sent = await send(line, messages)
  t.match(await line.settled(messages.length), { success: messages.length })
  const delivered = (await line.ledger()).map((entry) => entry.sha256)
  t.same(delivered.sort(), sent.map(({ value }) => sha256(value!)).sort())
  await line.isClean(t)
})

t.test('a known id with other bytes is shown as a conflict and not sent', async (t) => {
  const line = await setUpLine(t, ['--success', '1'])
  await startReadyService(t, line.settings)
  const original = bytes('{"transaction_id":"known","amount":1}')
  const other = bytes('{"transaction_id":"known","amount":2}')
  const sent = await send(line, [{ value: original }, { value: other }, { value: original, key: 'another' }])
  await isAccountedFor(line, 3)
  t.match(await line.settled(2), { success: 1, dead_letter: 1 })

  const { rows } = await line.pool.query<{ payload: Buffer }>(
    `select m.status, m.error_message, r.payload
      from messages m join records r on r.message_id = m.message_id and r.version = 1 where m.transaction_id = $1`,
    [`record:${line.topic}:0:${sent[1]!.offset}`],
  )
  t.match(rows, [{ status: 'dead_letter', error_message: /other bytes: known/ }])
  t.same(rows[0]?.payload, other)
  const { rows: history } = await line.pool.query<{ type: string }>(
    `select e.type from message_events e join messages m using (message_id)
      where m.transaction_id = 'known' and e.kafka_offset is not null order by e.version`,
  )
  t.same(
    history.map(({ type }) => type),
    ['received', 'conflict_received', 'duplicate_received'],
  )
  t.same(
    (await line.ledger()).map((entry) => entry.sha256),
    [sha256(original)],
  )
  await line.isClean(t)
})
