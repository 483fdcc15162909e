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

/**
 * Makes a piece of the old rollups coarser: minutes older than 35 days become hours, hours older than 400 days become days. Of all
 * instances one does so at a time, and none while one folds.
 *
 * @returns whether more pieces are old
 */
export async function agePiece(database: Pick<Pool, 'query'>): Promise<boolean> {
  const { rows } = await database.query<{ more: boolean }>({
    name: 'age_piece',
    text: 'select age_piece() as more',
  })
  return rows[0]?.more === true
}
