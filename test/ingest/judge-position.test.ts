import t from 'tap'
import { judgePosition, judgeRange, type Fetched } from '../../src/ingest/judge-position.ts'

const of = { topic: 'a', partition: 3 }
const batch = (fetched: bigint, first: bigint, next: bigint, highWatermark = 1_000n): Fetched => ({
  fetched,
  first,
  next,
  highWatermark,
})

t.test('the first batch ever of a partition defines its start', async (t) => {
  t.strictSame(judgePosition(null, null, batch(40n, 42n, 50n)), { then: 'take', from: 40n })
})

t.test('a batch fetched at the stored next offset is taken', async (t) => {
  t.strictSame(judgePosition(40n, null, batch(40n, 40n, 50n)), { then: 'take', from: 40n })
})

t.test('a batch that begins below the stored next offset is taken if it goes beyond', async (t) => {
  t.strictSame(judgePosition(45n, null, batch(40n, 40n, 50n)), { then: 'take', from: 40n })
})

t.test('a batch that ends below the stored next offset is skipped by a seek', async (t) => {
  t.strictSame(judgePosition(500n, null, batch(40n, 40n, 50n)), { then: 'seek' })
})

t.test(
  'a client that stands above the stored next offset is sent back once, and then the broker is asked',
  async (t) => {
    t.strictSame(judgePosition(40n, null, batch(45n, 45n, 50n)), { then: 'seek' })
    t.strictSame(judgePosition(40n, 40n, batch(45n, 45n, 50n)), { then: 'ask' })
    t.strictSame(
      judgePosition(40n, 30n, batch(45n, 45n, 50n)),
      { then: 'seek' },
      'it was sent back to another offset',
    )
  },
)

t.test('records that begin above the stored next offset are a question for the broker', async (t) => {
  t.strictSame(judgePosition(40n, null, batch(40n, 45n, 50n)), { then: 'ask' })
  t.strictSame(judgePosition(40n, null, batch(38n, 45n, 50n)), { then: 'ask' })
})

t.test('a partition that ends below the stored next offset is a question for the broker', async (t) => {
  t.strictSame(judgePosition(500n, null, batch(0n, 0n, 50n, 50n)), { then: 'ask' })
})

t.test('the stored next offset is in range from the first offset to the end', async (t) => {
  for (const stored of [10n, 15n, 20n]) t.equal(judgeRange(of, stored, { low: 10n, high: 20n }), null)
  t.match(judgeRange(of, 9n, { low: 10n, high: 20n }), {
    reason: /next offset is 9, .* first offset is 10: .*offset 9\. .*--topic a --partition 3 --accept-gap/,
    resume: 10n,
  })
  t.match(judgeRange(of, 21n, { low: 10n, high: 20n }), {
    reason: /next offset is 21, .* ends at 20: .*--topic a --partition 3 --new-incarnation/,
    resume: null,
  })
})
