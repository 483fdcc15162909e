import fc from 'fast-check'
import t from 'tap'
import { cutSlices, sliceBytesMax, sliceItemsMax } from '../../src/ingest/cut-slices.ts'

type Item = { offset: string; bytes: number }
const cut = (items: Item[], from: bigint, next: bigint) => [
  ...cutSlices(items, from, next, (item) => item.bytes),
]
const run = (from: number, count: number, bytes = 1): Item[] =>
  Array.from({ length: count }, (_, at) => ({ offset: String(from + at), bytes }))

t.test('a batch of up to 250 small records is one slice', async (t) => {
  t.match(cut(run(7, sliceItemsMax), 7n, 257n), [{ first: 7n, next: 257n, holes: [] }])
  t.match(
    cut(run(7, sliceItemsMax + 1), 7n, 258n).map((each) => [each.first, each.next, each.items.length]),
    [
      [7n, 257n, 250],
      [257n, 258n, 1],
    ],
  )
})

t.test('a slice holds at most 4 MiB, and a larger record comes alone', async (t) => {
  const half = sliceBytesMax / 2
  t.strictSame(
    cut(run(0, 5, half), 0n, 5n).map((each) => each.items.length),
    [2, 2, 1],
  )
  const mixed = [...run(0, 2, 10), ...run(2, 1, sliceBytesMax + 1), ...run(3, 2, 10)]
  t.strictSame(
    cut(mixed, 0n, 5n).map((each) => each.items.length),
    [2, 1, 2],
  )
})

t.test('offsets before, between and behind the records are holes', async (t) => {
  const items = [...run(10, 2), ...run(15, 1)]
  t.match(cut(items, 5n, 20n), [
    {
      first: 5n,
      next: 20n,
      holes: [
        { first: 5n, next: 10n },
        { first: 12n, next: 15n },
        { first: 16n, next: 20n },
      ],
    },
  ])
})

t.test(
  'whatever is cut, the slices follow each other, and each offset is a record or in one hole of one slice',
  async () => {
    const gaps = fc.array(fc.record({ gap: fc.nat(3), bytes: fc.nat(sliceBytesMax + 10) }), {
      minLength: 1,
      maxLength: 60,
    })
    fc.assert(
      fc.property(gaps, fc.nat(5), (steps, tail) => {
        let offset = 99
        const items = steps.map(({ gap, bytes }) => ({ offset: String((offset += gap + 1)), bytes }))
        const next = BigInt(offset + 1 + tail)
        const slices = cut(items, 100n, next)
        let at = 100n
        const covered: bigint[] = []
        for (const slice of slices) {
          if (slice.first !== at || slice.items.length === 0) return false
          at = slice.next
          for (const item of slice.items) covered.push(BigInt(item.offset))
          for (const hole of slice.holes)
            for (let each = hole.first; each < hole.next; each++) covered.push(each)
          const bytes = slice.items.reduce((sum, item) => sum + item.bytes, 0)
          if (slice.items.length > 1 && bytes > sliceBytesMax) return false
        }
        covered.sort((one, other) => Number(one - other))
        return (
          at === next &&
          covered.length === Number(next - 100n) &&
          covered.every((each, nth) => each === 100n + BigInt(nth))
        )
      }),
    )
  },
)

t.test('a part without a record is one hole', async (t) => {
  t.strictSame(
    [...cutSlices([], 5n, 9n, () => 1)],
    [{ first: 5n, next: 9n, items: [], holes: [{ first: 5n, next: 9n }] }],
  )
})
