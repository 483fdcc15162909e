import t from 'tap'
import type pg from 'pg'
import { countByStatus } from '../../../src/log/read/count-by-status.ts'
import { foldCounts } from '../../../src/log/write/fold-counts.ts'
import { database } from '../../support/database.ts'

const rowsMax = 10_000

/**
 * What statements left while the watermark was held: deltas at the positions from `first` to `last`, so many each, far below any
 * watermark that a cluster can have.
 */
async function pileUp(pool: pg.Pool, first: number, last: number, each: number): Promise<void> {
  await pool.query(
    `with delta as (
       insert into status_count_deltas (position, pending, processing, success, failed, dead_letter, minutes, measures, buckets, counts)
         select p, 1, 2, 3, 4, 5, array[m, m], array['received', 'attempt_max'], array[0, 0], array[1, p]
         from generate_series($1::bigint, $2::bigint) as p
         cross join generate_series(1, $3::int)
         cross join lateral (select '2026-01-01 00:00Z'::timestamptz + p * interval '1 minute' as m) at
     )
     insert into failure_deltas (position, minute, pattern, n, last_at, examples)
       select p, '2026-01-01 00:00Z', 'HTTP 503', 1, '2026-01-01 00:00Z', array[p]
       from generate_series($1::bigint, $2::bigint) as p
       cross join generate_series(1, $3::int * 2)`,
    [first, last, each],
  )
}

async function left(pool: pg.Pool): Promise<{ counts: number; failures: number }> {
  const { rows } = await pool.query<{ counts: number; failures: number }>(
    `select (select count(*)::int from status_count_deltas) as counts, (select count(*)::int from failure_deltas) as failures`,
  )
  return rows[0]!
}

async function told(pool: pg.Pool) {
  const { rows } = await pool.query(
    `select count(distinct minute)::int as minutes, sum(n) filter (where measure = 'received')::int as received,
       max(n) filter (where measure = 'attempt_max')::int as longest, (
         select sum(n)::int from read_failures('-infinity', 'infinity')
       ) as failures
     from read_rollups('-infinity', 'infinity', null)`,
  )
  return { ...(await countByStatus(pool)), ...(rows[0] as Record<string, number>) }
}

/** Folds all, and tells how many deltas each statement took; what is read is the same after each of them. */
async function foldByPieces(t: Tap, pool: pg.Pool): Promise<{ counts: number; failures: number }[]> {
  const before = await told(pool)
  const pieces: { counts: number; failures: number }[] = []
  const watched = {
    query: async (statement: pg.QueryConfig) => {
      const [waiting, answer, rest] = [await left(pool), await pool.query(statement), await left(pool)]
      pieces.push({ counts: waiting.counts - rest.counts, failures: waiting.failures - rest.failures })
      t.strictSame(await told(pool), before)
      return answer
    },
  }
  await foldCounts(watched as unknown as pg.Pool)
  return pieces
}

type Tap = Pick<typeof t, 'strictSame'>

t.test(
  'what piled up above a held watermark is folded piece by piece, and reads the same after each',
  async (t) => {
    const { pool } = await database(t)
    await pileUp(pool, 1, 300, 150)
    const pieces = await foldByPieces(t, pool)
    t.ok(
      pieces.every(({ counts, failures }) => counts <= rowsMax && failures <= rowsMax),
      JSON.stringify(pieces),
    )
    t.ok(
      pieces.every(({ counts, failures }) => counts % 150 === 0 && failures === 2 * counts),
      'a position stays together',
    )
    t.equal(pieces.length, 10, 'as many pieces as the failures need')
    t.strictSame(await left(pool), { counts: 0, failures: 0 })
  },
)

t.test('a position with more deltas than a piece has is folded whole', async (t) => {
  const { pool } = await database(t)
  await pileUp(pool, 1, 3, 12_000)
  await pileUp(pool, 4, 5, 10)
  const pieces = await foldByPieces(t, pool)
  t.strictSame(
    pieces.map(({ counts }) => counts),
    [12_000, 12_000, 12_000, 20],
  )
  t.strictSame(await left(pool), { counts: 0, failures: 0 })
})
