import type { Pool } from 'pg'
import { rfc3339 } from '../read/rfc3339.ts'

/** Reads the database's clock, as RFC 3339 with six digits. The database understands this form in every session. */
export async function readClock(database: Pool): Promise<string> {
  const { rows } = await database.query<{ now: string }>(`select ${rfc3339('clock_timestamp()')} as now`)
  const now = rows[0]?.now
  if (now === undefined) throw new Error('the database told no time')
  return now
}
