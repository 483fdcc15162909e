import type { Pool } from 'pg'

/** The database's clock, as it prints it. */
export async function readClock(database: Pool): Promise<string> {
  const { rows } = await database.query<{ now: string }>('select clock_timestamp()::text as now')
  const now = rows[0]?.now
  if (now === undefined) throw new Error('the database told no time')
  return now
}
