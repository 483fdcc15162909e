import type { Pool } from 'pg'

/** Brings stray outcomes into the logs of their payments, as far as those are there; says how many still wait. */
export async function placeStrays(database: Pool): Promise<number> {
  const { rows } = await database.query<{ waiting: string }>('select place_strays() as waiting')
  return Number(rows[0]?.waiting ?? 0)
}
