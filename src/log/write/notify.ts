import type { Pool } from 'pg'

/**
 * Notifies where the log is written. It is a hint and no word of the log, so it waits for no standby; it comes after the
 * notifications of all commits before it.
 */
export async function notify(database: Pick<Pool, 'query'>, channel: string, payload: string): Promise<void> {
  await database.query("select pg_notify($1, $2) from set_config('synchronous_commit', 'local', true)", [
    channel,
    payload,
  ])
}
