import pg from 'pg'

/** What PostgreSQL told the client when it connected: the process that serves it. pg's types leave it out. */
type Served = { readonly processID: number | null }

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

/**
 * Makes a new connection ready for statements that are each a transaction. A direct one gets its time limits: of a statement (and
 * of an idle transaction, which we have none of), and of its waits for locks. Behind a pooler the
 * session is another's at once: nothing is set on it, nothing is prepared by name on it (PgBouncer before 1.21 loses names,
 * and a name costs a parse of one short call), and the time limit must come from the pooler or the role.
 *
 * @throws Error with a sentence, if a pooler hands out sessions without a limit: a bound of ours rests on it
 */
export async function prepareSession(
  client: pg.ClientBase,
  timeoutMs: number,
  lockTimeoutMs: number,
): Promise<void> {
  const asked = {
    text: `with session as materialized (select pg_backend_pid() is distinct from $1::int as is_pooled)
      select is_pooled,
        case when not is_pooled then set_config('statement_timeout', $2, false) end,
        case when not is_pooled then set_config('idle_in_transaction_session_timeout', $2, false) end,
        case when not is_pooled then set_config('lock_timeout', $3, false) end,
        (select setting::int from pg_settings where name = 'statement_timeout') as timeout_ms
      from session`,
    values: [(client as pg.ClientBase & Served).processID, String(timeoutMs), String(lockTimeoutMs)],
    query_timeout: askMsMax,
  }
  const { rows } = await client.query<{ is_pooled: boolean; timeout_ms: number }>(asked)
  const [session] = rows
  if (session?.is_pooled !== true) return
  forgetNames(client)
  if (session.timeout_ms > 0 && session.timeout_ms <= timeoutMs) return
  const limit =
    session.timeout_ms === 0 ? 'no statement_timeout' : `a statement_timeout of ${session.timeout_ms} ms`
  throw new Error(
    `the connection pooler's sessions have ${limit}: give them one of at most ${timeoutMs} ms ` +
      `(alter role … set statement_timeout = ${timeoutMs}, or connect_query of PgBouncer)`,
  )
}

/** From now on whatever is asked by name is asked without one. */
function forgetNames(client: pg.ClientBase): void {
  const query = client.query.bind(client) as (...given: unknown[]) => unknown
  const forgetful = (asked: unknown, ...rest: unknown[]): unknown => query(withoutName(asked), ...rest)
  client.query = forgetful as typeof client.query
}

/** A statement with a name is a plain object of text and values; what has `submit` is a cursor and the like. */
function withoutName(asked: unknown): unknown {
  if (typeof asked !== 'object' || asked === null || !('name' in asked) || 'submit' in asked) return asked
  return { ...asked, name: undefined }
}
