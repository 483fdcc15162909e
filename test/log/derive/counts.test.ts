import t from 'tap'
import type pg from 'pg'
import { countByStatus } from '../../../src/log/read/count-by-status.ts'
import { foldCounts } from '../../../src/log/write/fold-counts.ts'
import { database } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import {
  accepted,
  deadLetter,
  fresh,
  lookOnce,
  newName,
  openAttempts,
  record,
  refused,
  rejectedRecord,
  session,
  settle,
  settleOne,
  settlement,
  store,
  unavailable,
} from '../support.ts'

const none = { pending: 0, processing: 0, success: 0, failed: 0, dead_letter: 0 }

async function scan(database: pg.Pool): Promise<Record<string, number>> {
  const { rows } = await database.query<{ status: string; messages: number }>(
    'select status, count(*)::int as messages from message_states group by status',
  )
  return { ...none, ...Object.fromEntries(rows.map((row) => [row.status, row.messages])) }
}

async function deltas(database: pg.Pool): Promise<number> {
  const { rows } = await database.query<{ count: number }>(
    'select count(*)::int as count from status_count_deltas',
  )
  return rows[0]!.count
}

t.test('every transition is counted, and a duplicate or an empty look counts nothing', async (t) => {
  const { pool } = await database(t)
  t.strictSame(await countByStatus(pool), none)
  const [name, other] = [newName(), newName()]
  await store(pool, [record(0, name), record(1, other), rejectedRecord(2, 'x')])
  t.strictSame(await countByStatus(pool), { ...none, pending: 2, dead_letter: 1 })
  await store(pool, [record(0, name), record(1, name, { bytes: 'other' })])
  t.strictSame(await countByStatus(pool), { ...none, pending: 2, dead_letter: 2 })
  const { claims } = await lookOnce(pool, 'fresh')
  t.strictSame(await countByStatus(pool), { ...none, processing: 2, dead_letter: 2 })
  await settle(pool, fresh, [
    settlement(claims[0]!.messageId, 1, accepted),
    settlement(claims[1]!.messageId, 1, unavailable),
  ])
  t.strictSame(await countByStatus(pool), { ...none, success: 1, failed: 1, dead_letter: 2 })
  const before = await deltas(pool)
  await lookOnce(pool, 'fresh')
  t.equal(await deltas(pool), before)
})

t.test('folding changes no count and leaves nothing to sum', async (t) => {
  const { pool } = await database(t)
  const [a, b] = await openAttempts(pool, 2)
  await settleOne(pool, fresh, a!, 1, accepted)
  await settleOne(pool, fresh, b!, 1, refused, deadLetter)
  const before = await countByStatus(pool)
  t.strictSame(before, { ...none, success: 1, dead_letter: 1 })
  // The watermark is the whole cluster's: other tests' transactions may hold it back for a while.
  await until('all deltas to be folded', async () => {
    await foldCounts(pool)
    t.strictSame(await countByStatus(pool), before)
    return (await deltas(pool)) === 0
  })
  t.equal((await pool.query('select from status_count_folds')).rowCount, 1)
})

t.test('a fold leaves what an older writer may still commit to the readers', async (t) => {
  const { pool, url } = await database(t)
  const writer = await session(t, url)
  await writer.database.query('begin')
  await store(writer.database, [record(0, newName())])
  await store(pool, [record(0, newName())])
  await foldCounts(pool)
  t.strictSame(await countByStatus(pool), { ...none, pending: 1 })
  await writer.database.query('commit')
  t.strictSame(await countByStatus(pool), { ...none, pending: 2 })
  await foldCounts(pool)
  t.strictSame(await countByStatus(pool), { ...none, pending: 2 })
})

t.test('an old snapshot goes on counting what it saw, whatever is folded meanwhile', async (t) => {
  const { pool, url } = await database(t)
  await openAttempts(pool, 3)
  const reader = await session(t, url)
  await reader.database.query('begin isolation level repeatable read')
  t.strictSame(await countByStatus(reader.database), { ...none, processing: 3 })
  await openAttempts(pool, 2)
  await foldCounts(pool)
  await openAttempts(pool, 1)
  await foldCounts(pool)
  t.strictSame(await countByStatus(reader.database), { ...none, processing: 3 })
  t.strictSame(await scan(reader.database), { ...none, processing: 3 })
  await reader.database.query('commit')
  t.strictSame(await countByStatus(reader.database), { ...none, processing: 6 })
})

t.test('of two folds at once one does it and the other does not wait', async (t) => {
  const { pool, url } = await database(t)
  await openAttempts(pool, 3)
  const folder = await session(t, url)
  await folder.database.query('begin')
  await foldCounts(folder.database)
  await foldCounts(pool)
  t.strictSame(await countByStatus(pool), { ...none, processing: 3 })
  await folder.database.query('commit')
  t.strictSame(await countByStatus(pool), { ...none, processing: 3 })
})

t.test('under many writers and folds every snapshot counts exactly what it holds', async (t) => {
  const { pool, url } = await database(t)
  const reader = await session(t, url)
  const written = new AbortController()
  const writers = Array.from({ length: 4 }, async () => {
    for (let round = 0; round < 15; round++) {
      const ids = await openAttempts(pool, 5)
      await settle(
        pool,
        fresh,
        ids.map((id, at) => settlement(id, 1, at % 2 === 0 ? accepted : unavailable)),
      )
    }
  })
  const folding = (async () => {
    while (!written.signal.aborted) await foldCounts(pool)
  })()
  const reading = (async () => {
    let snapshots = 0
    while (!written.signal.aborted) {
      await reader.database.query('begin isolation level repeatable read')
      const [counted, scanned] = [await countByStatus(reader.database), await scan(reader.database)]
      await reader.database.query('commit')
      t.strictSame(counted, scanned)
      snapshots++
    }
    return snapshots
  })()
  await Promise.all(writers)
  written.abort()
  await folding
  t.ok((await reading) > 0)
  t.strictSame(await countByStatus(pool), { ...none, success: 180, failed: 120 })
})
