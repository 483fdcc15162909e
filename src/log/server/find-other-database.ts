import { randomInt } from 'node:crypto'
import pg from 'pg'

const askMsMax = 5_000
const keyMax = 2 ** 31

/**
 * Finds out whether a connection leads to the same database as the pool: a lock that is taken through the one must be seen
 * through the other. Names, addresses and even the server's identifier may be the same for two databases (a copy, another port
 * behind one name), and the role may lack the right to read them. Every role sees locks.
 *
 * @returns the name of the other database; null if it is the same one
 * @throws what pg throws if the connection fails, or does not answer within 5 s
 */
export async function findOtherDatabase(
  connection: pg.ClientConfig,
  database: Pick<pg.Pool, 'query'>,
): Promise<string | null> {
  const client = new pg.Client({ ...connection, connectionTimeoutMillis: askMsMax, query_timeout: askMsMax })
  // A connection that breaks emits an error. The query that runs rejects with it anyway.
  client.on('error', () => undefined)
  await client.connect()
  try {
    const keys = [randomInt(keyMax), randomInt(keyMax)]
    // A lock of the transaction: a pooler would keep the session, and with it a lock of the session.
    await client.query('begin')
    const { rows } = await client.query<{ name: string }>(
      'select current_database() as name, pg_advisory_xact_lock($1, $2)',
      keys,
    )
    const seen = await database.query<{ is_same: boolean }>(
      `select exists (
         select from pg_locks l join pg_database d on d.oid = l.database
         where l.locktype = 'advisory' and d.datname = current_database()
           and l.classid = $1::bigint::oid and l.objid = $2::bigint::oid and l.objsubid = 2
       ) as is_same`,
      keys,
    )
    return seen.rows[0]?.is_same === true ? null : (rows[0]?.name ?? '')
  } finally {
    await client.end()
  }
}
