import type { Pool } from 'pg'
import t from 'tap'
import { forgetPositions } from '../../../src/log/archive/forget-positions.ts'
import { database } from '../../support/database.ts'

/** Archives of so many segments of ten messages each, from message 1 on; the segments themselves never were. */
async function recordArchives(pool: Pool, from: number, to: number): Promise<void> {
  await pool.query(
    `insert into segment_archives (segment, first_message_id, next_message_id, name, manifest_sha256, messages, events,
       success, dead_letter, received, duplicates, conflicts, rejected, highest_position, actor, reason)
     select 1000 + n, n * 10 + 1, n * 10 + 11, 'segment ' || n, '', 0, 0, 0, 0, 0, 0, 0, 0, n * 10 + 10, 'alice', 'old'
     from generate_series($1::int, $2::int) n`,
    [from, to],
  )
}

async function positionsOf(pool: Pool): Promise<number[]> {
  const { rows } = await pool.query<{ position: string }>(
    'select position from event_positions order by position',
  )
  return rows.map(({ position }) => Number(position))
}

t.test('a position is forgotten if all of its messages are archived, and no other is', async (t) => {
  const { pool } = await database(t)
  await pool.query(
    `insert into event_positions (position, message_ids)
     values (5, '{1,2}'), (6, '{1,11}'), (7, '{10,12}'), (8, '{21}'), (9, '{20,21}'), (30, '{30,31}'), (31, '{31}'), (32, '{40}'),
       (40, '{}'), (50, '{2}')`,
  )
  await forgetPositions(pool)
  t.strictSame(await positionsOf(pool), [5, 6, 7, 8, 9, 30, 31, 32, 40, 50], 'nothing is archived')
  await recordArchives(pool, 0, 1)
  await forgetPositions(pool)
  t.strictSame(
    await positionsOf(pool),
    [8, 9, 30, 31, 32, 40, 50],
    'ids 1 to 20; positions above 20 are not of these archives',
  )
  await recordArchives(pool, 3, 4)
  await forgetPositions(pool)
  t.strictSame(
    await positionsOf(pool),
    [8, 9, 30, 50],
    'ids 21 to 30 stay between two archives; the last row stays',
  )
})
