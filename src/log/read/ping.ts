import type { Pool } from 'pg'

/** Asks the database for nothing but an answer; rejects if there is none. */
export async function ping(database: Pick<Pool, 'query'>): Promise<void> {
  await database.query('select 1')
}
