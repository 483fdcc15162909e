import type { Pool } from 'pg'

/** Moves stray outcomes into the logs of their payments, where the log has the payment. Returns how many still wait. */
export async function placeStrays(database: Pool): Promise<number> {
  const { rows } = await database.query<{ waiting: string }>('select place_strays() as waiting')
  return Number(rows[0]?.waiting ?? 0)
}
