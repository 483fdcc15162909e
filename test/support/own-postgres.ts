import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { Test } from 'tap'
import { startPostgres } from '../../src/embedded/postgres.ts'
import type { TestDatabase } from './database.ts'
import { findFreePort } from './free-port.ts'

export interface OwnPostgres extends TestDatabase {
  /** Where the server's files are. */
  cluster: string
  stop(): Promise<void>
  /** Starts it again on the same port, with other settings if some are given. */
  start(settings?: Record<string, string>): Promise<void>
}

/** A server of the test's own, with an empty database on it, for what must not happen to the tests' common one. */
export async function ownPostgres(
  t: Pick<Test, 'teardown'>,
  settings: Record<string, string> = {},
): Promise<OwnPostgres> {
  const dataDir = await mkdtemp(join(tmpdir(), 'tqp-own-'))
  const options = {
    dataDir,
    port: await findFreePort(),
    user: 'postgres',
    password: 'postgres',
    database: 'transactions',
  }
  const start = (changed: Record<string, string>) =>
    startPostgres({ ...options, settings: { shared_buffers: '32MB', ...changed } })
  let server = await start(settings)
  const pool = new pg.Pool({ connectionString: server.url })
  pool.on('error', () => undefined)
  t.teardown(async () => {
    await pool.end()
    await server.stop()
    await rm(dataDir, { recursive: true, force: true })
  })
  return {
    url: server.url,
    pool,
    cluster: join(dataDir, 'postgres'),
    stop: () => server.stop(),
    start: async (changed = settings) => {
      server = await start(changed)
    },
  }
}
