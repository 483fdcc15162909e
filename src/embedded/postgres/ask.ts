import pg from 'pg'
import { isErrno } from './process.ts'

/** How to reach the embedded server. */
export interface Access {
  port: number
  user: string
  password: string
}

/**
 * Runs one statement on the embedded server, on a connection of its own.
 *
 * @throws an Error with one sentence, if the server refuses the password
 */
export async function ask<Row extends pg.QueryResultRow>(
  { port, user, password }: Access,
  database: string,
  statement: string,
  parameters: unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user,
    password,
    database,
    connectionTimeoutMillis: 5_000,
  })
  // A server that ends meanwhile reports it here as well as through the query.
  client.on('error', () => undefined)
  try {
    await client.connect()
    return (await client.query<Row>(statement, parameters)).rows
  } catch (error) {
    if (!isErrno(error, '28P01')) throw error
    throw new Error(
      `The PostgreSQL on port ${port} of 127.0.0.1 does not accept the embedded one's password: stop it, or set DATABASE_URL`,
      {
        cause: error,
      },
    )
  } finally {
    await client.end()
  }
}

/**
 * Whether the server is still starting or already stopping: it does not listen, hung up, or answers 57P03.
 */
export function isNotReady(error: unknown): boolean {
  const codes = ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', '57P01', '57P03']
  if (codes.some((code) => isErrno(error, code))) return true
  return error instanceof Error && /Connection terminated|timeout expired/.test(error.message)
}
