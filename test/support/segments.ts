import type pg from 'pg'
import { makeSegments } from '../../src/log/server/make-segments.ts'

/** Makes the segments of an empty log anew, so that a test can fill some. */
export async function makeSmallSegments(pool: pg.Pool, messages: number): Promise<void> {
  const { rows } = await pool.query<{ segment: number }>('select segment from log_segments')
  for (const { segment } of rows)
    for (const table of ['message_states', 'records', 'message_events'])
      await pool.query(`drop table ${table}_s${segment}`)
  await pool.query('alter table log_segments disable trigger append_only')
  await pool.query('delete from log_segments')
  await pool.query('alter table log_segments enable always trigger append_only')
  await makeSegments(pool, messages)
}
