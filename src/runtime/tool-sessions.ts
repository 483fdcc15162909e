import pg from 'pg'
import { explainConnection } from './explain-connection.ts'
import { prepareSession } from './prepare-session.ts'

const connectMsMax = 5_000

/** PostgreSQL gave a command no connection. Its message is one sentence. */
export class DatabaseUnreached extends Error {
  readonly reason: string

  constructor(cause: unknown) {
    const reason = explainConnection(cause)
    super(`The database cannot be reached: ${reason}.`, { cause })
    this.reason = reason
  }
}

/** What broke a connection: every query in hand is rejected with the same error, and it does not say whose it is. */
const breaks = new WeakSet<Error>()

/** Why the database could not be asked, in one sentence; null for what is no fault of a connection of this file. */
export function explainSession(fault: unknown): string | null {
  if (fault instanceof DatabaseUnreached) return fault.message
  if (!(fault instanceof Error && breaks.has(fault))) return null
  return `The connection to the database broke, and what was asked for may have been done: ${explainConnection(fault)}.`
}

/**
 * The one connection of a command, whose statements may take as long as the log is.
 *
 * @param name tells it apart in `pg_stat_activity`
 */
export function createToolPool(name: string, connection: pg.ClientConfig): pg.Pool {
  const pool = new pg.Pool({
    ...connection,
    Client: ToolClient,
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
  return new ToolClient({ ...connection, application_name: nameTool(name) })
}

/** Its `connect` rejects with `DatabaseUnreached`. */
class ToolClient extends pg.Client {
  constructor(connection?: pg.ClientConfig) {
    super({ connectionTimeoutMillis: connectMsMax, ...connection })
    // A client that loses its connection emits an error, idle or not.
    this.on('error', (error) => breaks.add(error))
  }

  override connect(): Promise<pg.Client>
  override connect(callback: (error: Error | null, client?: pg.Client) => void): void
  override connect(
    callback?: (error: Error | null, client?: pg.Client) => void,
  ): Promise<pg.Client> | undefined {
    const connecting = super.connect().catch((cause: unknown) => {
      throw new DatabaseUnreached(cause)
    })
    if (callback === undefined) return connecting
    // As a pool calls it.
    connecting.then((client) => callback(null, client), callback)
    return undefined
  }
}

function nameTool(name: string): string {
  return `transaction-queue-proxy ${name}`
}
