import type { Pool } from 'pg'

/** A sequence that lay below the ids that are there, as a logical upgrade leaves it. */
export type Advance = { ids: string; was: string; became: string }

/** Moves each sequence that ids come from up to the highest id that there is, and says which it moved. Never moves one back. */
export async function advanceIds(database: Pick<Pool, 'query'>): Promise<Advance[]> {
  const { rows } = await database.query<Advance>('select ids, was, became from advance_ids()')
  return rows
}
