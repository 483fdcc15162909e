import { inspectLog } from './log/inspect-log.ts'
import { inspectServer } from './log/inspect-server.ts'
import { migrate, StartRefused } from './runtime/migrate.ts'
import { leadsToPooler } from './runtime/pooler.ts'
import { register, type ServiceOptions } from './service.ts'

/**
 * Brings the schema and the rights of the service's role up to date, and says in the log who is about to write it.
 *
 * @param onStep is told what is waited for from now on
 * @throws StartRefused with a sentence a fault, if the server, the way to it or the log cannot be worked with
 */
export async function prepareDatabase(
  options: ServiceOptions,
  onStep: (step: string) => void,
): Promise<void> {
  const { database, logger } = options
  onStep('PostgreSQL')
  await refusePooler(options)
  const server = await inspectServer(database)
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
  await register(options)
}

/** A transaction pooler takes LISTEN and then keeps the session's notifications, or gives them to another. */
async function refusePooler({ config, connection }: ServiceOptions): Promise<void> {
  const { listenUrl } = config.database
  const connectionString = listenUrl ?? connection.connectionString
  if (!(await leadsToPooler({ ...connection, connectionString }))) return
  throw new StartRefused(
    `${listenUrl === null ? 'DATABASE_URL' : 'LISTEN_DATABASE_URL'} leads to a connection pooler, which drops LISTEN: ` +
      'name a direct connection in LISTEN_DATABASE_URL.',
  )
}

/** The owner's; else, where there is a direct connection of the same role beside a pooler, that one. */
function chooseMigrateUrl({ config, connection: { connectionString } }: ServiceOptions): string {
  const { migrateUrl, listenUrl } = config.database
  if (migrateUrl !== null) return migrateUrl
  const isSameRole = listenUrl !== null && new URL(listenUrl).username === new URL(connectionString).username
  return isSameRole ? listenUrl : connectionString
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
