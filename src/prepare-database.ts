import { findOtherDatabase } from './log/server/find-other-database.ts'
import { inspectGround } from './log/server/inspect-ground.ts'
import { inspectLog } from './log/server/inspect-log.ts'
import { inspectServer } from './log/server/inspect-server.ts'
import { advanceIds } from './log/write/advance-ids.ts'
import { migrate, StartRefused } from './runtime/migrate.ts'
import { leadsToPooler } from './runtime/pooler.ts'
import { register, type ServiceOptions } from './service.ts'

/**
 * PostgreSQL answers. The log is not as it must be yet, but may become so. The message is for the operator.
 */
export class StartWaits extends Error {}

/**
 * Brings the schema and the rights of the service's role up to date, and registers this instance in the log.
 *
 * @param onStep gets the name of each step that the start now waits for
 * @throws StartRefused with one sentence for each fault, if the server, the connection or the log cannot be
 *   used; StartWaits if the log may become usable while the start waits
 */
export async function prepareDatabase(
  options: ServiceOptions,
  onStep: (step: string) => void,
): Promise<void> {
  const { database, logger } = options
  onStep('PostgreSQL')
  await refusePooler(options)
  const server = await inspectServer(database)
  await awaitSameDatabase(options)
  if (server.faults.length > 0) throw new StartRefused(server.faults.join('\n'))
  for (const warning of server.warnings) logger.warn(warning)
  onStep('migrations')
  const applied = await migrate(
    { ...options.connection, connectionString: chooseMigrateUrl(options) },
    server.role,
    (functions) => logger.warn({ functions }, 'a later release has brought its own functions, and they stay'),
  )
  if (applied.length > 0) logger.info({ applied }, 'schema brought up to date')
  onStep('PostgreSQL')
  await refuseRewound(options, server.role)
  await awaitGround(options)
  for (const advance of await advanceIds(database))
    logger.warn(advance, 'new ids lay below those in the log: moved up')
  await options.server.begin(database)
  await register(options)
}

/**
 * A transaction pooler accepts LISTEN and then keeps the session's notifications, or gives them to another
 * session.
 */
async function refusePooler({ config, connection }: ServiceOptions): Promise<void> {
  const { listenUrl } = config.database
  const connectionString = listenUrl ?? connection.connectionString
  if (!(await leadsToPooler({ ...connection, connectionString }))) return
  throw new StartRefused(
    `${listenUrl === null ? 'DATABASE_URL' : 'LISTEN_DATABASE_URL'} leads to a connection pooler, which drops LISTEN: ` +
      'set LISTEN_DATABASE_URL to a direct connection.',
  )
}

/**
 * Runs before any migration. The start waits and is not refused: during a failover one name may lead to the
 * new server before another does.
 */
async function awaitSameDatabase({ config, connection, database }: ServiceOptions): Promise<void> {
  const { listenUrl, migrateUrl } = config.database
  for (const [name, connectionString] of [
    ['LISTEN_DATABASE_URL', listenUrl],
    ['MIGRATE_DATABASE_URL', migrateUrl],
  ] as const) {
    if (connectionString === null) continue
    const other = await findOtherDatabase({ ...connection, connectionString }, database)
    if (other !== null)
      throw new StartWaits(
        `${name} leads to another database than DATABASE_URL, or to one of the same name (${other}) on another server: ` +
          'set both to the same database.',
      )
  }
}

/**
 * The owner's connection. Else, if LISTEN_DATABASE_URL is a direct connection of the same role beside a
 * pooler, that one.
 */
function chooseMigrateUrl({ config, connection: { connectionString } }: ServiceOptions): string {
  const { migrateUrl, listenUrl } = config.database
  if (migrateUrl !== null) return migrateUrl
  const isSameRole = listenUrl !== null && new URL(listenUrl).username === new URL(connectionString).username
  return isSameRole ? listenUrl : connectionString
}

/** The start waits and is not refused: a restore may still be running. */
async function awaitGround({ database }: ServiceOptions): Promise<void> {
  const faults = await inspectGround(database)
  if (faults.length > 0) throw new StartWaits(`the log lacks what it rests on. ${faults.join(' ')}`)
}

async function refuseRewound({ database, logger }: ServiceOptions, role: string): Promise<void> {
  const { rewoundBy, mayForge } = await inspectLog(database)
  if (rewoundBy !== null) {
    throw new StartRefused(
      `The log reaches ${rewoundBy} positions beyond the transaction ids of this cluster, as after a restore into a younger ` +
        'one: run `npm run epoch -- --reason R` once, and start again.',
    )
  }
  if (mayForge) {
    logger.warn(
      { role },
      'the role of the service can change what is in the log: give DATABASE_URL a role that owns nothing, and the owner to MIGRATE_DATABASE_URL',
    )
  }
}
