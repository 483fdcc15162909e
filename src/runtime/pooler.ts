import pg from 'pg'

/** What PostgreSQL told the client when it connected: the process that serves it. pg's types leave it out. */
export type Served = { readonly processID: number | null }

const askMsMax = 5_000

/**
 * Whether a connection pooler stands in between. It answers a client in PostgreSQL's place, with a key of its own in which the
 * process is made up (PgBouncer) or its own; whatever only forwards bytes shows the process that serves.
 */
export async function isPooled(client: pg.ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  return rows[0]?.pid !== (client as pg.ClientBase & Served).processID
}

/** Connects once and says whether a pooler answers; rejects with what pg says if nobody does. */
export async function leadsToPooler(connection: pg.ClientConfig): Promise<boolean> {
  const client = new pg.Client({ ...connection, connectionTimeoutMillis: askMsMax, query_timeout: askMsMax })
  // A connection that breaks emits an error; the query in hand rejects with it anyway.
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await isPooled(client)
  } finally {
    await client.end()
  }
}

/** From now on whatever is asked by name is asked without one. */
export function forgetNames(client: pg.ClientBase): void {
  const query = client.query.bind(client) as (...given: unknown[]) => unknown
  const forgetful = (asked: unknown, ...rest: unknown[]): unknown => query(withoutName(asked), ...rest)
  client.query = forgetful as typeof client.query
}

/** A statement with a name is a plain object of text and values; what has `submit` is a cursor and the like. */
function withoutName(asked: unknown): unknown {
  if (typeof asked !== 'object' || asked === null || !('name' in asked) || 'submit' in asked) return asked
  return { ...asked, name: undefined }
}
