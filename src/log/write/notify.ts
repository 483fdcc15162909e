import type { Pool } from 'pg'

/**
 * Sends a notification through the server that the log is written on. A notification is only a hint, so it waits for no standby. It
 * arrives after the notifications of all earlier commits.
 */
export async function notify(database: Pick<Pool, 'query'>, channel: string, payload: string): Promise<void> {
  await database.query("select pg_notify($1, $2) from set_config('synchronous_commit', 'local', true)", [
    channel,
    payload,
  ])
}
