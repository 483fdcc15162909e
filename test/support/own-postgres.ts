import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { Test } from 'tap'
import type { Binaries } from '../../src/embedded/postgres/find-binaries.ts'
import { isAlive, signal, waitForEnd } from '../../src/embedded/postgres/process.ts'
import type { TestDatabase } from './database.ts'
import { findFreePort } from './free-port.ts'
import { startTestServer } from './postgres.ts'

export interface OwnPostgres extends TestDatabase {
  port: number
  /** Where the server's files are. */
  cluster: string
  /** Of the server's main process, which outlives a crash of a backend, but not a failed recovery. */
  pid(): number
  isAlive(): boolean
  /** As `pg_ctl stop -m immediate` does: every session is cut, nothing is written back. */
  crash(): void
  /** Fast, and whole. */
  stop(): Promise<void>
  /**
   * Starts the server anew on the same folder and port, with other settings if some are given; one that still runs, or is
   * recovering, is taken as it is.
   */
  restart(settings?: Record<string, string>): Promise<void>
}

/**
 * A server of the test's own, whose sessions may be ended, whose settings may be any, and which may crash. It holds one empty
 * database, and it ends with the test.
 *
 * @param given its folder, in place of a new one, settings beside ours, and binaries in place of the tests' common ones
 */
export async function startOwnPostgres(
  t: Pick<Test, 'teardown'>,
  given: { dataDir?: string; settings?: Record<string, string>; binaries?: Binaries } = {},
): Promise<OwnPostgres> {
  const dataDir = given.dataDir ?? (await mkdtemp(join(tmpdir(), 'tqp-postgres-')))
  const options = {
    dataDir,
    port: await findFreePort(),
    user: 'postgres',
    password: 'postgres',
    database: 'transactions',
    ...(given.binaries !== undefined && { binaries: given.binaries }),
  }
  const start = (settings = given.settings) =>
    startTestServer({ ...options, settings: { shared_buffers: '32MB', ...settings } })
  let server = await start()
  const pool = new pg.Pool({ connectionString: server.url })
  pool.on('error', () => undefined)
  t.teardown(async () => {
    await pool.end()
    // What it held is thrown away: it need not be written back first.
    signal(server.pid, 'SIGQUIT')
    await waitForEnd(server.pid, 60_000)
    if (given.dataDir === undefined) await rm(dataDir, { recursive: true, force: true })
  })
  return {
    url: server.url,
    pool,
    port: options.port,
    cluster: join(dataDir, 'postgres'),
    pid: () => server.pid,
    isAlive: () => isAlive(server.pid),
    crash: () => signal(server.pid, 'SIGQUIT'),
    stop: () => server.stop(),
    restart: async (settings) => {
      server = await start(settings)
    },
  }
}
