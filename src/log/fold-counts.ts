import type { Pool } from 'pg'

/** Sums up the counts below the watermark, so that reading them stays cheap. One instance at a time does it. */
export async function foldCounts(database: Pool): Promise<void> {
  await database.query('select fold_counts()')
}
