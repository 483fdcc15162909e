import type { Pool } from 'pg'

/** A sequence of ids that was lower than the ids in use, as a logical upgrade leaves it. */
export type Advance = { ids: string; was: string; became: string }

/** Moves each sequence of ids up to the highest id in use, and returns those that it moved. It never moves one back. */
export async function advanceIds(database: Pick<Pool, 'query'>): Promise<Advance[]> {
  const { rows } = await database.query<Advance>('select ids, was, became from advance_ids()')
  return rows
}
