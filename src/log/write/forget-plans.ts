import type { Pool } from 'pg'

/**
 * Removes the plans that have expired and that no job has started.
 *
 * @returns how many
 */
export async function forgetPlans(database: Pick<Pool, 'query'>): Promise<number> {
  const { rows } = await database.query<{ count: string }>({
    name: 'forget_plans',
    text: 'select forget_plans() as count',
  })
  return Number(rows[0]?.count ?? 0)
}
