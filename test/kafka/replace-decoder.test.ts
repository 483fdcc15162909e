import { createRequire } from 'node:module'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import type { FetchedRecord } from '../../src/kafka/answer/read-records.ts'
import { replaceDecoder, type Undecodable } from '../../src/kafka/answer/replace-decoder.ts'
import { registerCodecs } from '../../src/kafka/unpack/register-codecs.ts'
import {
  controlBatch,
  encodeRecord,
  fetchAnswer,
  recordBatch,
  varlong,
  type BatchFields,
} from './record-batch.ts'

type Answer = {
  responses: { topicName: string; partitions: { partition: number; messages: FetchedRecord[] }[] }[]
}
type Decode = (raw: Buffer) => Promise<Answer>
const load = createRequire(import.meta.url)
const decoderOf = (version: number) =>
  load(`kafkajs/src/protocol/requests/fetch/v${version}/response.js`) as { decode: Decode }

const kafkajsOwn = decoderOf(11).decode
const unpackedMax = 1024 * 1024
registerCodecs(unpackedMax)
const found: Undecodable[] = []
const forget = replaceDecoder((each) => found.push(each))
t.teardown(forget)
t.beforeEach(() => void (found.length = 0))

for (const version of [4, 5, 6, 7, 8, 9, 10, 11]) {
  t.test(
    `Fetch ${version}: an undecodable batch is reported, and the other partitions are read`,
    async (t) => {
      const answer = await decoderOf(version).decode(
        fetchAnswer(version, [
          { partition: 0, batches: [batch(10, 'a'), batch(11, 'b')] },
          { partition: 1, batches: [poison(20), batch(21, 'c')] },
          { partition: 2, batches: [batch(30, 'd')], aborted: [{ producerId: 77n, firstOffset: 5n }] },
          { partition: 3, batches: [] },
        ]),
      )
      t.strictSame(read(answer), { 0: ['10:a', '11:b'], 1: [], 2: ['30:d'], 3: [] })
      t.match(found, [
        { topic: 'topic', partition: 1, first: 20n, next: 21n, reason: /incorrect header check/ },
      ])
      t.equal(found.length, 1)
    },
  )
}

t.test('what stands before an undecodable batch is read first, and nothing is reported yet', async (t) => {
  const batches = [batch(10, 'a'), batch(11, 'b'), poison(12), batch(13, 'c')]
  t.strictSame(await decode(batches), ['10:a', '11:b'])
  t.strictSame(found, [])
})

t.test('a batch cut off by the size of the answer is no undecodable one', async (t) => {
  const batches = [batch(10, 'a'), batch(11, 'b').subarray(0, 30)]
  t.strictSame(await decode(batches), ['10:a'])
  t.strictSame(await decode([batch(10, 'a').subarray(0, 30)]), [])
  t.strictSame(found, [])
})

t.test('an answer that is broken as a whole is an error as before', async (t) => {
  await t.rejects(decoderOf(11).decode(Buffer.alloc(3)))
  t.strictSame(found, [])
})

t.test(
  'one flipped bit in a stored amount is not delivered: it is reported when it comes again',
  async (t) => {
    const damaged = batch(10, '{"amount":"10.00"}')
    damaged[damaged.length - 6]! ^= 1
    t.strictSame(await decode([damaged]), [])
    t.strictSame(found, [], 'it may have been damaged on the way')
    t.strictSame(await decode([damaged]), [])
    t.match(found, [{ first: 10n, reason: /checksum/ }])
    t.strictSame(await decode([batch(10, 'whole')]), ['10:whole'])
    t.strictSame(await decode([damaged]), [])
    t.equal(found.length, 1, 'after a whole one it begins anew')
  },
)

t.test('every flipped bit behind the checksum is noticed', async (t) => {
  const whole = batch(10, '{"amount":"10.00"}')
  for (let bit = 17 * 8; bit < whole.length * 8; bit++) {
    const damaged = Buffer.from(whole)
    damaged[bit >>> 3]! ^= 1 << (bit & 7)
    t.strictSame(await decode([damaged]), [], `bit ${bit}`)
  }
})

t.test('a record comes as kafkajs itself reads it, whatever it holds', async (t) => {
  const bytes = fc.oneof(
    fc.constant(null),
    fc.uint8Array({ maxLength: 300 }).map((each) => Buffer.from(each)),
  )
  // It mistakes these for values that it has already: a record with a header named toString gets a function in it.
  const name = fc.string({ unit: 'binary', maxLength: 10 }).filter((each) => !(each in {}))
  const record = fc.record({
    key: bytes,
    value: bytes,
    headers: fc.uniqueArray(fc.tuple(name, bytes), { maxLength: 5, selector: ([each]) => each }),
    timestampDelta: fc.oneof(fc.integer(), fc.maxSafeInteger()),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(record, { minLength: 1, maxLength: 20 }),
      fc.bigInt({ min: -1n, max: 2n ** 40n }),
      async (records, baseTimestamp) => {
        const raw = fetchAnswer(11, [
          { partition: 0, batches: [recordBatch(10, records, { baseTimestamp })] },
        ])
        const [ours, theirs] = [await decoderOf(11).decode(raw), await kafkajsOwn(raw)]
        t.strictSame(
          ours.responses[0]!.partitions[0]!.messages.map(comparable),
          theirs.responses[0]!.partitions[0]!.messages.map(comparable),
        )
      },
    ),
    { numRuns: 50 },
  )
})

t.test('repeated, null and empty headers keep their order', async (t) => {
  const headers: [string, Buffer | null][] = [
    ['b', Buffer.from('1')],
    ['7', null],
    ['a', Buffer.from('2')],
    ['b', Buffer.alloc(0)],
    ['__proto__', Buffer.from('3')],
    ['', null],
    ['b', null],
    ['toString', Buffer.from('4')],
  ]
  const answer = await decoderOf(11).decode(
    fetchAnswer(11, [{ partition: 0, batches: [recordBatch(10, [{ headers }])] }]),
  )
  t.strictSame(answer.responses[0]!.partitions[0]!.messages[0]!.headers, headers)
})

t.test('a record of the end of time, and one appended by the broker, tell their timestamps', async (t) => {
  const [record] = [{ value: Buffer.from('a'), timestampDelta: -2 }]
  const timestampOf = async (fields: BatchFields) => {
    const raw = fetchAnswer(11, [{ partition: 0, batches: [recordBatch(10, [record], fields)] }])
    return (await decoderOf(11).decode(raw)).responses[0]!.partitions[0]!.messages[0]!.timestamp
  }
  t.equal(await timestampOf({ baseTimestamp: 1_000n }), '998')
  t.equal(await timestampOf({ baseTimestamp: 2n ** 62n }), (2n ** 62n - 2n).toString())
  t.equal(await timestampOf({ attributes: 8, maxTimestamp: 5_000n }), '5000')
})

t.test('records that are not what their batch says are reported', async (t) => {
  const one = encodeRecord({ value: Buffer.from('a') }, 0)
  const cases: [string, BatchFields, RegExp?][] = [
    ['fewer than counted', { count: 2 }],
    ['more than counted', { count: 1, pack: () => Buffer.concat([one, one]) }],
    ['counted below zero', { count: -1 }],
    ['two billion of them', { count: 2 ** 31 - 1 }, /more than 1000000/],
    ['an offset that does not grow', { count: 2, lastOffsetDelta: 1, pack: () => Buffer.concat([one, one]) }],
    ['an offset behind the batch', { lastOffsetDelta: 0, pack: () => encodeRecord({}, 1) }],
    ['a length below zero', { pack: () => varlong(-1n) }],
    ['a number without an end', { pack: () => Buffer.alloc(40, 0xff) }],
    ['two billion headers', { pack: () => withHeaders(2n ** 31n - 1n) }],
    ['headers below zero', { pack: () => withHeaders(-1n) }],
    ['a codec that does not exist', { attributes: 6 }, /codec 6/],
  ]
  for (const [what, fields, reason = /malformed/] of cases) {
    found.length = 0
    t.strictSame(await decode([recordBatch(10, [{ value: Buffer.from('a') }], fields)]), [], what)
    t.match(found, [{ first: 10n, reason }], what)
  }
})

t.test('a batch that would be a million objects and more is reported', async (t) => {
  registerCodecs(64 * 1024 * 1024)
  t.teardown(() => registerCodecs(unpackedMax))
  t.strictSame(await decode([recordBatch(10, [], { attributes: 1, count: 1_000_001, pack: gzipSync })]), [])
  const headers = Buffer.concat([
    Buffer.from([0, 0, 0, 1, 1]),
    varlong(1_000_000n),
    Buffer.alloc(2_000_000, Buffer.from([0, 1])),
  ])
  const record = Buffer.concat([varlong(BigInt(headers.length)), headers])
  const pack = () => gzipSync(record)
  t.strictSame(await decode([recordBatch(10, [], { attributes: 1, count: 1, pack })]), [])
  t.match(found, [{ reason: /more than 1000000/ }, { reason: /more than 1000000/ }])
})

t.test('more records in one batch than a call has room for arguments are read', async (t) => {
  const records = Array.from({ length: 130_000 }, (_, at) => encodeRecord({}, at))
  const pack = () => Buffer.concat(records)
  const fields = { count: records.length, lastOffsetDelta: records.length - 1, pack }
  t.equal((await decode([recordBatch(0, [], fields)])).length, 130_000)
})

t.test(
  'what unpacks to more than the limit is reported, and costs the other partitions nothing',
  async (t) => {
    const bomb = recordBatch(20, [], {
      attributes: 1,
      count: 1,
      pack: () => gzipSync(Buffer.alloc(unpackedMax + 1)),
    })
    const raw = fetchAnswer(11, [
      { partition: 1, batches: [bomb] },
      { partition: 2, batches: [batch(30, 'a')] },
    ])
    t.strictSame(read(await decoderOf(11).decode(raw)), { 1: [], 2: ['30:a'] })
    t.match(found, [{ partition: 1, first: 20n, reason: `it unpacks to more than ${unpackedMax} bytes` }])
  },
)

t.test('of batches just under the limit an answer holds some, and each partition has its turn', async (t) => {
  const large = recordBatch(10, [{ value: Buffer.alloc(unpackedMax - 100) }], {
    attributes: 1,
    pack: (bytes) => gzipSync(bytes),
  })
  const partitions = [0, 1, 2].map((partition) => ({ partition, batches: Array<Buffer>(100).fill(large) }))
  const raw = fetchAnswer(11, partitions)
  const read: number[] = [0, 0, 0]
  for (let nth = 0; nth < 3; nth++) {
    const answer = await decoderOf(11).decode(raw)
    const counts = answer.responses.map((response) => response.partitions[0]!.messages.length)
    t.equal(
      counts.reduce((sum, count) => sum + count, 0),
      17,
      'a little over 16 MiB: four fetchers of a broker each hold an answer',
    )
    counts.forEach((count, partition) => (read[partition]! += count))
  }
  t.ok(
    read.every((count) => count > 0),
    read.join(),
  )
})

t.test('records of aborted transactions are left out', async (t) => {
  const transactional = (offset: number, producerId: bigint, ...values: string[]) =>
    recordBatch(
      offset,
      values.map((value) => ({ value: Buffer.from(value) })),
      { producerId, attributes: 0x10 },
    )

  await t.test('also of two that both began before what is fetched', async (t) => {
    const batches = [
      transactional(10, 2n, 'called off'),
      transactional(11, 1n, 'called off'),
      controlBatch(12, 1n, 'abort'),
      controlBatch(13, 2n, 'abort'),
      batch(14, 'a'),
    ]
    const aborted = [
      { producerId: 1n, firstOffset: 4n },
      { producerId: 2n, firstOffset: 5n },
    ]
    t.strictSame(await decode(batches, aborted), ['14:a'])
  })
  await t.test('also when the broker tells them in the order of their ends', async (t) => {
    const batches = [
      transactional(10, 1n, 'called off'),
      transactional(11, 2n, 'called off'),
      controlBatch(12, 2n, 'abort'),
      transactional(13, 1n, 'called off'),
      controlBatch(14, 1n, 'abort'),
    ]
    const aborted = [
      { producerId: 2n, firstOffset: 11n },
      { producerId: 1n, firstOffset: 10n },
    ]
    t.strictSame(await decode(batches, aborted), ['end 10-14'])
  })
  await t.test('also behind a record whose key looks like the end of a transaction', async (t) => {
    const zeros = { key: Buffer.alloc(4), value: Buffer.from('called off') }
    const batches = [
      recordBatch(10, [zeros, { value: Buffer.from('called off') }], { producerId: 1n, attributes: 0x10 }),
      transactional(12, 1n, 'called off'),
      controlBatch(13, 1n, 'abort'),
      transactional(14, 1n, 'a'),
      controlBatch(15, 1n, 'commit'),
    ]
    t.strictSame(await decode(batches, [{ producerId: 1n, firstOffset: 10n }]), ['14:a', 'end 10-15'])
  })
  await t.test('and those of a committed one, of another producer, or of none are not', async (t) => {
    const batches = [
      transactional(10, 1n, 'a'),
      batch(11, 'b'),
      controlBatch(12, 1n, 'commit'),
      transactional(13, 2n, 'called off'),
      recordBatch(14, [{ value: Buffer.from('c') }], { producerId: 2n }),
      controlBatch(15, 2n, 'abort'),
      transactional(16, 2n, 'd'),
    ]
    t.strictSame(await decode(batches, [{ producerId: 2n, firstOffset: 13n }]), [
      '10:a',
      '11:b',
      '14:c',
      '16:d',
    ])
  })
  t.strictSame(found, [])
})

t.test('what compaction took at the end of a batch, or all of it, is passed over at once', async (t) => {
  const thinned = recordBatch(
    10,
    [{ value: Buffer.from('a') }, { value: Buffer.from('b'), offsetDelta: 4 }],
    { lastOffsetDelta: 9 },
  )
  const emptied = recordBatch(30, [], { lastOffsetDelta: 9 })
  t.strictSame(await decode([thinned]), ['10:a', '14:b', 'end 10-19'])
  t.strictSame(await decode([emptied]), ['end 30-39'])
  t.strictSame(await decode([thinned, emptied, batch(50, 'c')]), ['10:a', '14:b', '50:c'])
})

t.test('a control batch that cannot be read is reported', async (t) => {
  t.strictSame(await decode([recordBatch(10, [], { attributes: 0x30, count: 1 })]), [])
  t.match(found, [{ first: 10n, reason: /malformed/ }])
})

t.test('messages of the old formats come as kafkajs reads them', async (t) => {
  const old = (offset: number, value: string) => {
    const body = Buffer.concat([
      Buffer.alloc(4),
      Buffer.from([1, 0]),
      Buffer.alloc(8),
      Buffer.from([255, 255, 255, 255, 0, 0, 0, value.length]),
      Buffer.from(value),
    ])
    const prefix = Buffer.alloc(12)
    prefix.writeBigInt64BE(BigInt(offset))
    prefix.writeInt32BE(body.length, 8)
    return Buffer.concat([prefix, body])
  }
  t.strictSame(await decode([old(10, 'a'), old(11, 'b'), batch(12, 'c')]), ['10:a', '11:b', '12:c'])
})

t.test(
  'whatever bytes stand where records should, the answer is decoded and no other partition suffers',
  async (t) => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 0, maxLength: 400 }),
        fc.boolean(),
        async (noise, hasChecksum) => {
          const bytes = hasChecksum
            ? recordBatch(10, [], {
                attributes: noise[0] ?? 0,
                count: 1 + ((noise[1] ?? 0) % 3),
                pack: () => Buffer.from(noise),
              })
            : Buffer.from(noise)
          const answer = await decoderOf(11).decode(
            fetchAnswer(11, [
              { partition: 0, batches: [bytes] },
              { partition: 1, batches: [batch(30, 'd')] },
            ]),
          )
          t.strictSame(read(answer)[1], ['30:d'])
        },
      ),
      { numRuns: 300 },
    )
  },
)

async function decode(
  batches: Buffer[],
  aborted: { producerId: bigint; firstOffset: bigint }[] = [],
): Promise<string[]> {
  const answer = await decoderOf(11).decode(fetchAnswer(11, [{ partition: 0, batches, aborted }]))
  return read(answer)[0]!
}

function read(answer: Answer): Record<number, string[]> {
  const partitions = answer.responses.flatMap((response) => response.partitions)
  return Object.fromEntries(
    partitions.map(({ partition, messages }) => [
      partition,
      messages.map((each) =>
        'answeredFrom' in each
          ? `end ${String(each.answeredFrom)}-${each.offset}`
          : `${each.offset}:${each.value?.toString('utf8') ?? ''}`,
      ),
    ]),
  )
}

function comparable({ offset, timestamp, attributes, key, value, headers }: FetchedRecord) {
  const pairs = Array.isArray(headers) ? headers : Object.entries(headers ?? {})
  return { offset, timestamp, attributes, key, value, headers: new Map(pairs as [string, Buffer | null][]) }
}

function batch(offset: number, value: string): Buffer {
  return recordBatch(offset, [{ value: Buffer.from(value) }])
}

function poison(offset: number): Buffer {
  return recordBatch(offset, [], { attributes: 1, count: 1, pack: () => Buffer.from('this is not gzip') })
}

/** A record without key, value, and headers, of which it says that it has so many. */
function withHeaders(count: bigint): Buffer {
  const body = Buffer.concat([Buffer.from([0, 0, 0, 1, 1]), varlong(count)])
  return Buffer.concat([varlong(BigInt(body.length)), body])
}
