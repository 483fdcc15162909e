import { inspectRetention } from './archive/inspect-retention.ts'
import { chooseOwnerUrl } from './config/read-database.ts'
import { findOtherDatabase } from './log/server/find-other-database.ts'
import { inspectGround } from './log/server/inspect-ground.ts'
import { inspectLog } from './log/server/inspect-log.ts'
import { inspectServer } from './log/server/inspect-server.ts'
import { makeSegments } from './log/server/make-segments.ts'
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
  await refuseRetention(options)
  onStep('migrations')
  const applied = await migrate(
    { ...options.connection, connectionString: ownerUrl(options) },
    server.role,
    (functions) => logger.warn({ functions }, 'a later release has brought its own functions, and they stay'),
  )
  if (applied.length > 0) logger.info({ applied }, 'schema brought up to date')
  onStep('PostgreSQL')
  await awaitGround(options)
  await refuseRewound(options, server.role)
  for (const advance of await advanceIds(database))
    logger.warn(advance, 'next ids were below ids in the log: raised')
  const segments = await makeSegments(database, options.config.segmentMessages)
  if (segments > 0) logger.info({ segments }, 'segments of the log made')
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
 * The owner's connection archives, too: the service's own role cannot drop what is in the log. It runs before any migration, which another
 * role may not be able to make.
 */
async function refuseRetention(options: ServiceOptions): Promise<void> {
  const { logRetention } = options.config
  if (logRetention === null) return
  const owner = { ...options.connection, connectionString: ownerUrl(options) }
  const faults = await inspectRetention(owner, logRetention.directory)
  if (faults.length > 0) throw new StartRefused(faults.join('\n'))
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

function ownerUrl({ config, connection }: ServiceOptions): string {
  return chooseOwnerUrl(config.database, connection.connectionString)
}
