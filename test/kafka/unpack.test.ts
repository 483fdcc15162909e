import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { readBatchHeader } from '../../src/kafka/answer/batch-header.ts'
import { readBatch } from '../../src/kafka/answer/read-batch.ts'
import { splitRecords } from '../../src/kafka/answer/split-answer.ts'
import { pairHeaders } from '../../src/kafka/read-headers.ts'
import { registerCodecs } from '../../src/kafka/unpack/register-codecs.ts'
import { unpackGzip } from '../../src/kafka/unpack/unpack-gzip.ts'
import { unpackLz4 } from '../../src/kafka/unpack/unpack-lz4.ts'
import { unpackSnappy } from '../../src/kafka/unpack/unpack-snappy.ts'
import { unpackZstd } from '../../src/kafka/unpack/unpack-zstd.ts'

// What PackedBatches.java says wrote them: the encoders that Kafka's Java client brings, at levels that differ in kind.
const folder = new URL('packed/', import.meta.url)
const files = readdirSync(folder).sort()
const packedBatch = (name: string) => readFileSync(new URL(name, folder))
const recordsPlace = 61
const packedRecords = (name: string) => packedBatch(name).subarray(recordsPlace)
const codecs = {
  gzip: unpackGzip,
  snappy: async (packed: Buffer, bytesMax: number) => unpackSnappy(packed, bytesMax),
  lz4: async (packed: Buffer, bytesMax: number) => unpackLz4(packed, bytesMax),
  zstd: async (packed: Buffer, bytesMax: number) => unpackZstd(packed, bytesMax),
}
const roomy = 1024 * 1024
registerCodecs(roomy)

t.test('every codec and level of the Java client is read, byte for byte', async (t) => {
  t.strictSame([...new Set(files.map((file) => file.split(/[-.]/)[0]))], Object.keys(codecs).sort())
  for (const file of files) {
    const batch = packedBatch(file)
    t.equal(splitRecords(batch).length, 1, file)
    const { records } = await readBatch(batch, readBatchHeader(batch))
    const read = records.map(({ offset, timestamp, key, value, headers }) => ({
      offset,
      timestamp,
      key: key?.toString() ?? null,
      value: value?.toString(),
      headers: pairHeaders(headers).map(([name, each]) => [name, each?.toString() ?? null]),
    }))
    t.equal(
      JSON.stringify(read),
      JSON.stringify(Array.from({ length: 1_000 }, (_, at) => expected(at))),
      file,
    )
  }
})

for (const [codec, unpack] of Object.entries(codecs)) {
  const samples = files.filter((file) => file.startsWith(codec)).map(packedRecords)

  t.test(`${codec}: what is a byte over the limit is refused, and the limit itself is not`, async (t) => {
    for (const packed of samples) {
      const whole = await unpack(packed, roomy)
      t.strictSame(await unpack(packed, whole.length), whole)
      await t.rejects(unpack(packed, whole.length - 1), {
        message: `it unpacks to more than ${whole.length - 1} bytes`,
      })
      await t.rejects(unpack(packed, 1), /unpacks to more than 1 bytes/)
    }
  })

  t.test(`${codec}: cut short it is refused`, async (t) => {
    for (const packed of samples) {
      for (const length of [1, 4, 7, 20, packed.length >>> 1, packed.length - 9])
        await t.rejects(unpack(packed.subarray(0, length), roomy), Error)
    }
  })

  t.test(
    `${codec}: random bytes and changed ones end in an error or in what fits into the limit`,
    async (t) => {
      const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 })
      const changed = fc
        .tuple(fc.constantFrom(...samples), changes, fc.nat(8_000))
        .map(([packed, edits, length]) => {
          const copy = Buffer.from(packed.subarray(0, 200 + length))
          // Most of them near the start, where what steers the rest stands.
          for (const [at, byte] of edits) copy[at % (byte % 2 === 0 ? 40 : copy.length)] = byte
          return copy
        })
      const noise = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes))
      const begun = fc
        .tuple(fc.constantFrom(...samples), fc.nat(30), noise)
        .map(([packed, length, bytes]) => Buffer.concat([packed.subarray(0, length), bytes]))
      let refused = 0
      await fc.assert(
        fc.asyncProperty(fc.oneof(changed, noise, begun), async (packed) => {
          try {
            const { length } = await unpack(packed, roomy)
            if (length > roomy) throw new RangeError('over the limit')
          } catch (error) {
            if (!(error instanceof Error) || error.message === 'over the limit') throw error
            refused++
          }
        }),
        { numRuns: 500 },
      )
      t.ok(refused > 0)
    },
  )
}

t.test('snappy: a raw block is read like the Java client’s frames, of which more can follow', async (t) => {
  const text = 'abcabcabcabc'
  // A literal of three bytes, and a copy from three bytes back, nine bytes long.
  const raw = Buffer.from([12, 2 << 2, ...Buffer.from('abc'), ((9 - 4) << 2) | 1, 3])
  t.equal(unpackSnappy(raw, 100).toString(), text)
  const header = packedRecords('snappy.bin').subarray(0, 16)
  const block = Buffer.concat([Buffer.from([0, 0, 0, raw.length]), raw])
  t.equal(unpackSnappy(Buffer.concat([header, block, block]), 100).toString(), text + text)
  t.equal(unpackSnappy(Buffer.concat([header, block, header, block]), 100).toString(), text + text)
  t.throws(() => unpackSnappy(Buffer.concat([header, block, block]), 2 * text.length - 1), /more than/)
})

t.test('snappy: blocks of which a decoder makes something else, or no end', async (t) => {
  const cases: [string, number[]][] = [
    [
      'a literal of nearly four gigabytes, over which snappyjs turns in a circle',
      [16, 0, 65, 0xfc, 0xf8, 0xff, 0xff, 0xff, 0, 0, 0, 0],
    ],
    ['shorter than it says, which snappyjs fills with zeros', [5, 0, 65]],
    ['longer than it says', [1, 4, 65, 65]],
    ['a copy from before the start', [8, 0, 65, 1, 2]],
    ['a copy from where it stands', [8, 0, 65, 1, 0]],
    ['a copy that is cut short', [8, 0, 65, 2, 1]],
    ['a length without an end', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
  ]
  for (const [what, bytes] of cases) t.throws(() => unpackSnappy(Buffer.from(bytes), roomy), /corrupt/, what)
  t.throws(
    () => unpackSnappy(Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f]), roomy),
    /more than/,
    'four gigabytes',
  )
})

t.test('lz4: frames in all their forms', async (t) => {
  const stored = (flags: number, more: number[] = [], tail: number[] = []) =>
    Buffer.from([
      4,
      0x22,
      0x4d,
      0x18,
      0x40 | flags,
      0x40,
      ...more,
      0,
      3,
      0,
      0,
      0x80,
      97,
      98,
      99,
      ...tail,
      0,
      0,
      0,
      0,
    ])
  t.equal(unpackLz4(stored(0), 10).toString(), 'abc')
  t.equal(unpackLz4(stored(0x08, [3, 0, 0, 0, 0, 0, 0, 0]), 10).toString(), 'abc', 'with its size')
  t.equal(
    unpackLz4(stored(0x10, [], [1, 2, 3, 4]), 10).toString(),
    'abc',
    'with a checksum of the block, which lz4js misplaces',
  )
  t.equal(
    unpackLz4(Buffer.concat([stored(0x04), Buffer.from([1, 2, 3, 4]), stored(0)]), 10).toString(),
    'abcabc',
    'two, the first with a checksum',
  )
  t.equal(
    unpackLz4(
      Buffer.concat([Buffer.from([0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9]), stored(0)]),
      10,
    ).toString(),
    'abc',
    'behind one to be skipped',
  )
  t.throws(() => unpackLz4(stored(0x01), 10), /dictionary/)
  t.throws(() => unpackLz4(stored(0x80), 10), /corrupt/, 'another version')
  t.throws(
    () => unpackLz4(stored(0).subarray(0, -4), 10),
    /corrupt/,
    'without its end, which lz4js does not miss',
  )
  const block = (...bytes: number[]) =>
    Buffer.from([4, 0x22, 0x4d, 0x18, 0x40, 0x40, 0, bytes.length, 0, 0, 0, ...bytes, 0, 0, 0, 0])
  t.equal(unpackLz4(block(0x12, 97, 1, 0, 0x10, 98), 10).toString(), 'aaaaaaab')
  t.throws(() => unpackLz4(block(0x12, 97, 2, 0, 0x10, 98), 10), /corrupt/, 'a match from before the start')
  t.throws(
    () => unpackLz4(block(0x1f, 97, 1, 0, ...Array<number>(20).fill(255), 0, 0), 4_000),
    /more than/,
    'a bomb',
  )
})

t.test('zstd: frames in all their forms', async (t) => {
  const frame = (...bytes: number[]) => Buffer.from([0x28, 0xb5, 0x2f, 0xfd, ...bytes])
  const raw = [(3 << 3) | 1, 0, 0, 97, 98, 99]
  t.equal(unpackZstd(frame(0x20, 3, ...raw), 10).toString(), 'abc')
  t.equal(unpackZstd(frame(0x00, 0xff, ...raw), 10).toString(), 'abc', 'that asks for a window of terabytes')
  t.equal(unpackZstd(frame(0x24, 3, ...raw, 1, 2, 3, 4), 10).toString(), 'abc', 'with a checksum')
  t.equal(
    unpackZstd(Buffer.concat([frame(0x20, 3, ...raw), frame(0x20, 3, ...raw)]), 10).toString(),
    'abcabc',
    'two',
  )
  t.equal(
    unpackZstd(
      Buffer.concat([Buffer.from([0x5f, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9]), frame(0x20, 3, ...raw)]),
      10,
    ).toString(),
    'abc',
    'behind one to be skipped',
  )
  t.equal(unpackZstd(frame(0x20, 5, (5 << 3) | 3, 0, 0, 97), 10).toString(), 'aaaaa', 'one byte, repeated')
  t.throws(() => unpackZstd(frame(0x20, 4, ...raw), 10), /corrupt/, 'shorter than it says')
  t.throws(() => unpackZstd(frame(0x21, 7, 3, ...raw), 10), /dictionary/)
  t.throws(() => unpackZstd(frame(0xa0, 0xff, 0xff, 0xff, 0xff, ...raw), 10), /more than/)
  t.throws(() => unpackZstd(frame(0xe0, ...Array<number>(8).fill(0xff), ...raw), 10), /more than/)
  // Ninety-eight thousand sequences that lack their bits: fzstd takes over a minute for it.
  const bitless = [1 << 3, 97, 0xff, 0xff, 0xff, 0x54, 0, 0, 52, 1]
  t.throws(() => unpackZstd(frame(0x00, 0x58, (bitless.length << 3) | 5, 0, 0, ...bitless), roomy), /corrupt/)
})

t.test('a gzip bomb and one of each other codec is refused at the limit', async (t) => {
  const bomb = gzipSync(Buffer.alloc(roomy + 1))
  await t.rejects(unpackGzip(bomb, roomy), { message: `it unpacks to more than ${roomy} bytes` })
  // Blocks of 128 KiB that are one repeated byte, four bytes each.
  const block = [0x02, 0, 0x10, 97]
  const zstd = Buffer.from([
    0x28,
    0xb5,
    0x2f,
    0xfd,
    0,
    0x58,
    ...Array.from({ length: 5_000 }, () => block).flat(),
  ])
  t.throws(() => unpackZstd(zstd, roomy), /more than/)
  const lz4 = Buffer.concat([
    Buffer.from([4, 0x22, 0x4d, 0x18, 0x40, 0x70, 0, 0xff, 0xff, 1, 0, 0x1f, 97, 1, 0]),
    Buffer.alloc(0x1ffff - 5, 255),
    Buffer.alloc(1),
  ])
  t.throws(() => unpackLz4(lz4, roomy), /more than/)
  t.throws(() => unpackSnappy(Buffer.from([0x81, 0x80, 0x40, 0, 97]), roomy), /more than/)
  await t.rejects(unpackGzip(randomBytes(100), roomy), Error)
})

function expected(number: number) {
  return {
    offset: String(100 + number),
    timestamp: String(1_700_000_000_000 + number),
    key: number % 3 === 0 ? null : `key-${number % 7}`,
    value: valueOf(number),
    headers:
      number % 10 === 0
        ? [
            ['traceparent', `00-${'ab'.repeat(16)}-01`],
            ['repeated', null],
            ['repeated', ''],
          ]
        : [],
  }
}

function valueOf(number: number): string {
  const note = number % 50 === 0 ? `,"note":"${'repeated '.repeat(number * 2)}"` : ''
  const noise = number % 25 === 1 ? `,"noise":"${noiseOf(number)}"` : ''
  return `{"transaction_id":"tx-${number}","amount":"${(number * 7919) % 100_000}.00"${note}${noise}}`
}

function noiseOf(number: number): string {
  let state = BigInt(number)
  let text = ''
  for (let at = 0; at < 400; at++) {
    state = (state * 1_103_515_245n + 12_345n) & 0x7fffffffn
    text += String.fromCharCode(48 + (Number(state >> 16n) % 75))
  }
  return text.replaceAll('\\', '-')
}
