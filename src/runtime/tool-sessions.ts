import pg from 'pg'
import { prepareSession } from './prepare-session.ts'

const connectMsMax = 5_000

/**
 * The one connection of a command, whose statements may take as long as the log is.
 *
 * @param name tells it apart in `pg_stat_activity`
 */
export function createToolPool(name: string, connection: pg.PoolConfig): pg.Pool {
  const pool = new pg.Pool({
    connectionTimeoutMillis: connectMsMax,
    ...connection,
    max: 1,
    application_name: nameTool(name),
    onConnect: (client) => prepareSession(client, null) as unknown as undefined,
  })
  // An idle connection that breaks is replaced at its next use.
  pool.on('error', () => undefined)
  return pool
}

/** The same as one session, for what rests on it: a lock, a rank of its own. The caller connects and prepares it. */
export function createToolClient(name: string, connection: pg.ClientConfig): pg.Client {
  const client = new pg.Client({
    connectionTimeoutMillis: connectMsMax,
    ...connection,
    application_name: nameTool(name),
  })
  // An idle client that loses its connection emits an error. A running query rejects with it anyway.
  client.on('error', () => undefined)
  return client
}

function nameTool(name: string): string {
  return `transaction-queue-proxy ${name}`
}
