import type { Pool } from 'pg'

/**
 * Returns the age in milliseconds of the oldest transaction that any instance runs on this database now; 0 if there is none. A
 * transaction that began earlier has been committed or rolled back, and the next read of the log shows which.
 */
export async function findOldestTransaction(database: Pool): Promise<number> {
  const { rows } = await database.query<{ oldest_ms: number }>({
    name: 'find_oldest_transaction',
    text: `select coalesce(max(extract(epoch from clock_timestamp() - xact_start)) * 1000, 0)::float8 as oldest_ms
      from pg_stat_activity
      where datname = current_database() and application_name = current_setting('application_name')
        and pid <> pg_backend_pid()`,
  })
  return rows[0]?.oldest_ms ?? 0
}
