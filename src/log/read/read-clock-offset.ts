import type { Pool } from 'pg'

/**
 * Asks PostgreSQL for the time, and compares it with the clock of this process in the middle of the question.
 *
 * @returns by how many seconds PostgreSQL's clock is ahead; below 0 if it is behind. The error is at most half of the time that the
 *   question took.
 */
export async function readClockOffset(database: Pick<Pool, 'query'>): Promise<number> {
  const askedAt = Date.now()
  const { rows } = await database.query<{ now_ms: number }>({
    name: 'read_clock',
    text: 'select (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms',
  })
  const [row] = rows
  if (row === undefined) throw new Error('the time is one row')
  return (row.now_ms - (askedAt + Date.now()) / 2) / 1_000
}
