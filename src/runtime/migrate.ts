import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import pg from 'pg'
import { MigrationError, Umzug, type UmzugStorage } from 'umzug'
import { applyFunctions, createFunctionsTable, type Source } from './apply-functions.ts'
import { explainHeldLock } from './explain-held-lock.ts'
import { inTransaction } from './in-transaction.ts'
import { lockTables } from './lock-tables.ts'
import { isPooled } from './pooler.ts'
import { prepareSession } from './prepare-session.ts'

const migrationsFolder = new URL('../../migrations/', import.meta.url)
const functionsFolder = new URL('functions/', migrationsFolder)

// Any fixed number: it only has to be the same for every instance that starts.
const advisoryLock = 7_233_841_902

/** What is there and this release do not go together; the message is for the operator. Trying again will not help. */
export class StartRefused extends Error {}

// Where sessions are handed out by the transaction, nobody can say who holds a session's lock.
const poolerRefusal =
  'Migrations hold a lock of their session and were led to a connection pooler: name a direct one in MIGRATE_DATABASE_URL.'

const lockTimeoutMs = 2_000
const deadlockDetected = '40P01'
const connectMsMax = 5_000
// How soon the server notices that whoever migrates is gone, and ends what it was told to do.
const orphanedAfterMs = 2_000

type Context = { client: pg.Client; sources: ReadonlyMap<string, Source> }

/**
 * Brings the schema up to date, in one transaction: each new file of migrations/ once, in order, with its history row; then each
 * file of migrations/functions/ whose text has changed, unless a later release has brought its own; then the rights. Forward only.
 * Safe when several instances start at once: one migrates, and the others are told by whom they are held up. An edited applied
 * file, or a schema newer than this release, refuses with a sentence.
 *
 * @param service the role to grant what the service needs to, and nothing else; null if there is no such role
 * @param onLater is told the names of the functions that were left as a later release has them
 * @returns the names of what was applied
 * @throws Error that names the session in the way, after two seconds: whoever waits says so and tries again
 */
export async function migrate(
  connection: pg.ClientConfig,
  service: string | null = null,
  onLater: (functions: string[]) => void = () => undefined,
): Promise<string[]> {
  const client = new pg.Client({
    ...connection,
    application_name: 'transaction-queue-proxy migrate',
    connectionTimeoutMillis: connectMsMax,
    keepAlive: true,
  })
  // An idle client that loses its connection emits an error; the query in hand rejects with it anyway.
  client.on('error', () => undefined)
  await client.connect()
  try {
    if (await isPooled(client)) throw new StartRefused(poolerRefusal)
    await prepareSession(client, null)
    await limitSession(client)
    await client.query('select pg_advisory_lock($1)', [advisoryLock])
    const { applied, later } = await applyAll(client, service, false).catch((error: unknown) => {
      // It took tables one by one, as its files name them, and met writers that took them in another order. They would meet again.
      if (error instanceof pg.DatabaseError && error.code === deadlockDetected)
        return applyAll(client, service, true)
      throw error
    })
    if (later.length > 0) onLater(later)
    return applied
  } catch (error) {
    throw await explainHeldLock(client, advisoryLock, error)
  } finally {
    await client.end()
  }
}

/**
 * A migration may drop functions that this release replaces. All is done in one transaction, so running instances of the release before find
 * either the old functions or the new ones, and never none, even if this process is killed in between.
 *
 * @param areTablesLocked whether it locks all tables of the log first, so that it can be part of no deadlock
 */
async function applyAll(
  client: pg.Client,
  service: string | null,
  areTablesLocked: boolean,
): Promise<{ applied: string[]; later: string[] }> {
  const migrations = await readSources(
    migrationsFolder,
    (await readdir(migrationsFolder)).filter(isSql).sort(),
  )
  const functions = await readFunctions()
  await createMigrationsTable(client)
  await refuseOtherHistory(client, migrations)
  await createFunctionsTable(client)
  return inTransaction(client, async () => {
    if (areTablesLocked) await lockTables(client)
    const applied = await applyMigrations(client, migrations)
    const answer = await applyFunctions(client, functions)
    // At every start, because the role may be another, and because PUBLIC may execute whatever function is new.
    await client.query('select grant_access($1)', [service])
    return {
      applied: [...applied, ...answer.applied.map((name) => `functions/${name}`)],
      later: answer.later,
    }
  })
}

/** The names of the functions that this release's SQL rests on: each has a file of its own. */
export async function functionNames(): Promise<string[]> {
  return (await listFunctions()).map((path) => basename(path, '.sql'))
}

/** Every function of this release, whichever folder its file stands in, in the order of names. */
export async function readFunctions(): Promise<Source[]> {
  return readSources(functionsFolder, await listFunctions())
}

async function listFunctions(): Promise<string[]> {
  const paths = await readdir(functionsFolder, { recursive: true })
  return paths.filter(isSql).sort((one, other) => (basename(one) < basename(other) ? -1 : 1))
}

function isSql(path: string): boolean {
  return path.endsWith('.sql')
}

async function limitSession(client: pg.Client): Promise<void> {
  // A strict database refuses our functions, as they are created, for names that mean what they should.
  await client.query('select set_config($1, $2, false)', ['plpgsql.extra_errors', 'none'])
  // While a migration waits for a lock on a table, all other sessions queue behind it. An operator's open transaction would so stop the
  // other instances too. So the migration gives up soon, lets them through, and is tried again.
  await client.query('select set_config($1, $2, false)', ['lock_timeout', String(lockTimeoutMs)])
  // A service that was told to stop leaves a long migration where it is. A server on a platform without this ends it later.
  await client
    .query('select set_config($1, $2, false)', ['client_connection_check_interval', String(orphanedAfterMs)])
    .catch(() => undefined)
}

async function readSources(folder: URL, paths: readonly string[]): Promise<Source[]> {
  return Promise.all(
    paths.map(async (path) => {
      const sql = await readFile(new URL(path, folder), 'utf8')
      return { name: basename(path), sql, checksum: createHash('sha256').update(sql).digest('hex') }
    }),
  )
}

async function createMigrationsTable(client: pg.Client): Promise<void> {
  await client.query(`create table if not exists schema_migrations (
    name text primary key, checksum text not null, applied_at timestamptz not null default clock_timestamp())`)
}

async function applyMigrations(client: pg.Client, sources: Source[]): Promise<string[]> {
  const byName = new Map(sources.map((source) => [source.name, source]))
  const umzug = new Umzug<Context>({
    migrations: sources.map((source) => ({ name: source.name, up: () => applyOnce(client, source) })),
    context: { client, sources: byName },
    storage: history,
    logger: undefined,
  })
  try {
    return (await umzug.up()).map((migration) => migration.name)
  } catch (error) {
    // PostgreSQL's own error says whether to wait or to give up; umzug's wrapper does not.
    throw error instanceof MigrationError && error.cause instanceof Error ? error.cause : error
  }
}

/** umzug asks it what is done; applyOnce writes a migration's row beside it, so it logs nothing. */
const history: UmzugStorage<Context> = {
  async executed({ context }) {
    const { rows } = await context.client.query<{ name: string }>(
      'select name from schema_migrations order by name',
    )
    return rows.map((row) => row.name)
  },
  logMigration: () => Promise.resolve(),
  unlogMigration: () => Promise.reject(new Error('Migrations go forward only.')),
}

async function refuseOtherHistory(client: pg.Client, sources: Source[]): Promise<void> {
  const { rows } = await client.query<{ name: string; checksum: string }>(
    'select name, checksum from schema_migrations',
  )
  for (const row of rows) {
    const source = sources.find(({ name }) => name === row.name)
    if (source === undefined) {
      throw new StartRefused(
        `The database's schema is newer than this release: it has ${row.name}, which is not in migrations/.`,
      )
    }
    if (source.checksum !== row.checksum) {
      throw new StartRefused(
        `migrations/${row.name} was edited after it had been applied: put it back and add a new file instead.`,
      )
    }
  }
}

async function applyOnce(client: pg.Client, source: Source): Promise<void> {
  await client.query(source.sql)
  await client.query('insert into schema_migrations (name, checksum) values ($1, $2)', [
    source.name,
    source.checksum,
  ])
}
