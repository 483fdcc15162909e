import type { Pool } from 'pg'

// A standby that keeps up confirms within milliseconds, and the statement before the commit takes no longer. So 5 s is long.
const statement = {
  name: 'find_unconfirmed',
  text: `select extract(epoch from clock_timestamp() - min(query_start))::float8 as seconds
    from pg_stat_activity
    where datname = current_database() and wait_event = 'SyncRep' and clock_timestamp() - query_start > interval '5 seconds'`,
}

/**
 * Finds the commit that has waited longest for a synchronous standby to confirm it. A role without `pg_read_all_stats` sees
 * only its own commits.
 *
 * @returns the seconds it has waited; null if no commit has waited for more than 5 s
 * @throws what pg throws if the database does not answer
 */
export async function findUnconfirmed(database: Pick<Pool, 'query'>): Promise<number | null> {
  const { rows } = await database.query<{ seconds: number | null }>(statement)
  return rows[0]?.seconds ?? null
}
