import type { Pool } from 'pg'

/** Sums up the counts and rollups below the watermark, so that reading them stays cheap, piece by piece to the end. */
export async function foldCounts(database: Pick<Pool, 'query'>, rowsMin = 1): Promise<void> {
  while (await foldPiece(database, rowsMin));
}

/**
 * Sums up a piece of them, in a transaction that is short whatever waits. One at a time does it, for all instances; nothing
 * happens while fewer than `rowsMin` statements wait for it.
 *
 * @returns whether more of them wait
 */
export async function foldPiece(database: Pick<Pool, 'query'>, rowsMin = 1): Promise<boolean> {
  const { rows } = await database.query<{ more: boolean }>({
    name: 'fold_piece',
    text: 'select fold_piece($1) as more',
    values: [rowsMin],
  })
  return rows[0]?.more === true
}
