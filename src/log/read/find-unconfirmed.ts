import type { Pool } from 'pg'

// A standby that keeps up answers within milliseconds, and the statement before its commit takes no longer.
const statement = {
  name: 'find_unconfirmed',
  text: `select extract(epoch from clock_timestamp() - min(query_start))::float8 as seconds
    from pg_stat_activity
    where datname = current_database() and wait_event = 'SyncRep' and clock_timestamp() - query_start > interval '5 seconds'`,
}

/**
 * For how many seconds a commit has waited for a synchronous standby to confirm it; null if none has for long. A role that may not
 * read the statistics of others (`pg_read_all_stats`) sees only its own. Rejects if the database does not answer.
 */
export async function findUnconfirmed(database: Pick<Pool, 'query'>): Promise<number | null> {
  const { rows } = await database.query<{ seconds: number | null }>(statement)
  return rows[0]?.seconds ?? null
}
