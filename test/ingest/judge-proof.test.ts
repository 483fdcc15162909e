import t from 'tap'
import { hashValue } from '../../src/ingest/decode.ts'
import { judgeProof } from '../../src/ingest/judge-proof.ts'

const of = { topic: 'a', partition: 3 }
const value = Buffer.from('stored')
const last = { offset: 9n, sha256: hashValue(value) }

function judge(fetched: bigint, records: [number, Buffer | null][], next: bigint) {
  const found = records.map(([offset, value]) => ({ offset: String(offset), value }))
  return judgeProof({ ...of, fetched, next, records: found }, last, 10n)
}

t.test('the same bytes in the same place prove the topic', async (t) => {
  t.strictSame(judge(9n, [[9, value]], 10n), { kind: 'proven' })
  t.strictSame(
    judge(
      5n,
      [
        [5, null],
        [9, value],
        [12, null],
      ],
      13n,
    ),
    { kind: 'proven' },
  )
})

t.test('other bytes, or none, in the same place are another topic’s', async (t) => {
  for (const other of [Buffer.from('other'), null])
    t.match(
      judge(
        9n,
        [
          [9, other],
          [10, value],
        ],
        11n,
      ),
      {
        kind: 'replaced',
        fault: {
          reason:
            /record at offset 9 is not the one .*next offset 10 .*--topic a --partition 3 --new-incarnation/,
          resume: null,
        },
      },
    )
})

t.test('where the record is gone nothing is proven, and nothing held against the topic', async (t) => {
  t.strictSame(judge(9n, [[11, value]], 12n), { kind: 'absent' }, 'compaction took it')
  t.strictSame(judge(10n, [[10, value]], 11n), { kind: 'absent' }, 'the client was past it')
  t.strictSame(judge(8n, [[8, value]], 12n), { kind: 'absent' }, 'what follows has no record')
})

t.test('a batch that ends below the record says nothing of it', async (t) => {
  t.strictSame(
    judge(
      3n,
      [
        [3, value],
        [4, value],
      ],
      5n,
    ),
    { kind: 'below' },
  )
})
