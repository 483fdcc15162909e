import type pg from 'pg'
import { until } from './until.ts'

/**
 * Waits until everything that is committed can be read in order: a transaction of another test on the same server holds the
 * watermark back too.
 */
export async function headPasses(pool: pg.Pool): Promise<void> {
  await until('the head to pass every event', async () => {
    const { rows } = await pool.query<{ passed: boolean }>(
      'select coalesce(max(position) < watermark(), true) as passed from message_events',
    )
    return rows[0]?.passed === true
  })
}
