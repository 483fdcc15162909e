import { randomInt } from 'node:crypto'
import pg from 'pg'

const askMsMax = 5_000
const keyMax = 2 ** 31

/**
 * Whether a connection leads to the database of the pool: a lock that is taken on the one is seen on the other. Names, addresses
 * and even a server's identifier are alike where the databases are not (a copy, another port behind one name), and the
 * right to ask for them may be missing; locks everybody sees.
 *
 * @returns the name of the database that it leads to instead; null if it is the same one
 */
export async function findOtherDatabase(
  connection: pg.ClientConfig,
  database: Pick<pg.Pool, 'query'>,
): Promise<string | null> {
  const client = new pg.Client({ ...connection, connectionTimeoutMillis: askMsMax, query_timeout: askMsMax })
  // A connection that breaks emits an error; the query in hand rejects with it anyway.
  client.on('error', () => undefined)
  await client.connect()
  try {
    const keys = [randomInt(keyMax), randomInt(keyMax)]
    // Of the transaction and not of the session, which a pooler would keep with the lock.
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
