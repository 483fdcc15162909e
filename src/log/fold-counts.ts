import type { Pool } from 'pg'

/**
 * Sums up the counts and rollups below the watermark, so that reading them stays cheap. One at a time does it, for all
 * instances; nothing happens while fewer than `rowsMin` statements wait for it.
 */
export async function foldCounts(database: Pick<Pool, 'query'>, rowsMin = 1): Promise<void> {
  await database.query({ name: 'fold_counts', text: 'select fold_counts($1)', values: [rowsMin] })
}
