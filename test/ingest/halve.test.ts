import t from 'tap'
import { halve } from '../../src/ingest/halve.ts'
import type { DecodedRecord, Slice } from '../../src/log/write/ingest.ts'

const sliceOf = (offsets: number[], from: bigint, next: bigint, holes: Slice['holes']): Slice => ({
  topic: 'topic',
  partition: 0,
  incarnation: 1,
  first: from,
  next,
  records: offsets.map((offset) => ({ offset: BigInt(offset) }) as DecodedRecord),
  holes,
})

t.test('both halves together cover what the slice did, holes included', async (t) => {
  const before = { first: 5n, next: 10n }
  const between = { first: 12n, next: 20n }
  const behind = { first: 21n, next: 30n }
  const [first, second] = halve(sliceOf([10, 11, 20], 5n, 30n, [before, between, behind]))
  t.match(first, { first: 5n, next: 11n, records: [{ offset: 10n }], holes: [before] })
  t.match(second, {
    first: 11n,
    next: 30n,
    records: [{ offset: 11n }, { offset: 20n }],
    holes: [between, behind],
  })
})

t.test('a hole in front of the boundary stays with the first half', async (t) => {
  const hole = { first: 1n, next: 9n }
  const [first, second] = halve(sliceOf([0, 9], 0n, 10n, [hole]))
  t.match(first, { first: 0n, next: 9n, holes: [hole] })
  t.match(second, { first: 9n, next: 10n, holes: [] })
})

t.test('a slice of one record has no halves', async (t) => {
  t.throws(() => halve(sliceOf([3], 3n, 4n, [])), RangeError)
})
