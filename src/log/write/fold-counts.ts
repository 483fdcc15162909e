import type { Pool } from 'pg'

/** Folds the counts and rollups below the watermark, piece by piece until none is left, so that reading them stays cheap. */
export async function foldCounts(database: Pick<Pool, 'query'>, rowsMin = 1): Promise<void> {
  while (await foldPiece(database, rowsMin));
}

/**
 * Folds one piece of them, in a transaction that is short however many wait. Of all instances one folds at a time. Nothing happens
 * while the counts of fewer than `rowsMin` statements wait.
 *
 * @returns whether more pieces wait
 */
export async function foldPiece(database: Pick<Pool, 'query'>, rowsMin = 1): Promise<boolean> {
  const { rows } = await database.query<{ more: boolean }>({
    name: 'fold_piece',
    text: 'select fold_piece($1) as more',
    values: [rowsMin],
  })
  return rows[0]?.more === true
}
