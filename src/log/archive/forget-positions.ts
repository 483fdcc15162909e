import type pg from 'pg'

const rowsMax = 10_000

/** Deletes the rows of `event_positions` that name archived messages only, in pieces that are each a transaction. */
export async function forgetPositions(database: Pick<pg.ClientBase, 'query'>): Promise<void> {
  for (let reached: string | null = '0'; reached !== null;) {
    const { rows }: { rows: { reached: string | null }[] } = await database.query(
      'select forget_positions($1, $2) as reached',
      [reached, rowsMax],
    )
    reached = rows[0]?.reached ?? null
  }
}
