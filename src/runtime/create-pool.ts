import pg from 'pg'
import type { Logger } from './logger.ts'
import { prepareSession } from './prepare-session.ts'
import { ProvenPool } from './proven-pool.ts'

/** The server ends a statement after this long. The bound that looks start from (SQL function look_lane) rests on it. */
export const statementTimeoutMs = 30_000

/**
 * Longer than any lock of ours is held, and well below what a slice may take: an operator's open transaction must show as what
 * it is, and what waits for it must not hold on to what it has locked itself.
 */
const lockTimeoutMs = 3_000

// Below the 350 s after which the first of the usual proxies forget a connection; a new one costs the first statement its plans.
const idleMsMax = 300_000
const keepAliveMs = 30_000

/**
 * The pool of connections. Every wait has an end: to connect, on the server, and on this side a little later, so that a
 * frozen server or a dead connection is a failed statement and not a hung service.
 *
 * @param verify is shown each new connection before its first use, and refuses it by rejecting
 */
export function createPool(
  connection: pg.PoolConfig,
  logger: Logger,
  connectionsMax: number,
  verify: (client: pg.ClientBase) => Promise<void>,
): pg.Pool {
  const pool = new ProvenPool({
    ...connection,
    verify: (client, done) => void show(client, verify).then(done),
    max: connectionsMax,
    application_name: 'transaction-queue-proxy',
    connectionTimeoutMillis: 5_000,
    // Limits on the server are set here and not as the connection starts, because a pooler refuses a start that names them.
    onConnect: (client) =>
      prepareSession(client, { statementTimeoutMs, lockTimeoutMs }) as unknown as undefined,
    query_timeout: statementTimeoutMs + 5_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveMs,
    idleTimeoutMillis: idleMsMax,
  })
  // An idle connection that breaks is replaced at the next use; whoever has a statement on it hears by its rejection.
  pool.on('error', (error) => logger.debug({ reason: error.message }, 'idle connection lost'))
  return pool
}

/** Why the connection is refused; nothing if it is not. */
async function show(
  client: pg.ClientBase,
  verify: (client: pg.ClientBase) => Promise<void>,
): Promise<Error | undefined> {
  // A connection that breaks fails the query on it and emits an error besides, which nobody else listens to yet.
  const ignore = () => undefined
  client.on('error', ignore)
  try {
    await verify(client)
    return undefined
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  } finally {
    client.removeListener('error', ignore)
  }
}
