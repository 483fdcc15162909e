import type pg from 'pg'
import t from 'tap'
import { findCreated } from '../../../src/log/read/messages/find-created.ts'
import { database } from '../../support/database.ts'
import { record, store } from '../support.ts'

type Slices = { count: number; from: string; stepMs: number; firstId: number | null }

/** Slices of one message each, or of duplicates alone, as ingest records them. */
async function addSlices(
  pool: pg.Pool,
  nth: number,
  { count, from, stepMs, firstId }: Slices,
): Promise<void> {
  await pool.query(
    `insert into partition_advances (partition_id, first_offset, next_offset, received, duplicates, conflicts, rejected, holes,
       first_message_id, last_message_id, recorded_at, actor)
     select (select min(partition_id) from partitions), $1::bigint * 1000000 + i, $1::bigint * 1000000 + i + 1,
       case when $5::bigint is null then 0 else 1 end, case when $5::bigint is null then 1 else 0 end, 0, 0, 0,
       $5::bigint + i, $5::bigint + i, $3::timestamptz + i * $4::int * interval '1 millisecond', 'test'
     from generate_series(0, $2::int - 1) i`,
    [nth, count, from, stepMs, firstId],
  )
}

const march = { from: '2031-03-01T00:00:00Z', to: '2031-04-01T00:00:00Z' }

async function findIds(pool: pg.Pool): Promise<{ firstId: unknown; lastId: unknown }> {
  const found = await findCreated(pool, { createdAt: march })
  return { firstId: found.createdAt?.firstId, lastId: found.createdAt?.lastId }
}

t.test('slices without a message of their own do not stand in for others', async (t) => {
  const { pool } = await database(t)
  await store(pool, [record(0, 'partition')])
  // A producer that sends all of its records again, before and after those that are new.
  await addSlices(pool, 1, { count: 12_000, from: '2031-03-01T00:00:00Z', stepMs: 10, firstId: null })
  await addSlices(pool, 2, { count: 25_000, from: '2031-03-02T00:00:00Z', stepMs: 10, firstId: 1_000 })
  await addSlices(pool, 3, { count: 12_000, from: '2031-03-03T00:00:00Z', stepMs: 10, firstId: null })
  t.same(await findIds(pool), { firstId: '1000', lastId: '25999' })
})

t.test('what a clock created that was ahead is found among 10,000 slices at each end', async (t) => {
  const { pool } = await database(t)
  await store(pool, [record(0, 'partition')])
  // Stored in January, by a clock that showed March.
  await addSlices(pool, 1, { count: 1, from: '2031-03-05T00:00:00Z', stepMs: 1, firstId: 50 })
  await addSlices(pool, 2, { count: 9_999, from: '2031-03-02T00:00:00Z', stepMs: 1, firstId: 1_000 })
  await addSlices(pool, 3, { count: 20_000, from: '2031-03-20T00:00:00Z', stepMs: 1, firstId: 20_000 })
  t.same(await findIds(pool), { firstId: '50', lastId: '39999' })
})
