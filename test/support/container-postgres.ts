import { chmod, mkdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PostgresOptions, RunningPostgres } from '../../src/embedded/start-postgres.ts'
import { ask, isNotReady } from '../../src/embedded/postgres/ask.ts'
import { signal, waitForEnd } from '../../src/embedded/postgres/process.ts'
import { findServer, ServerContainer } from './containers.ts'
import type { Major } from './postgres-kind.ts'

// The minor releases that npm has of each major too; 18 is the one in docker-compose.yml.
const images: Record<Major, string> = {
  15: 'postgres:15.18',
  16: 'postgres:16.14',
  17: 'postgres:17.10',
  18: 'postgres:18.4',
}

/**
 * Starts the official image on a folder, or takes the server that runs there already, as startPostgres does of the embedded one. All
 * settings but the given ones are the image's.
 */
export async function startContainerPostgres(
  major: Major,
  { dataDir, port, user, password, database, settings }: PostgresOptions,
): Promise<RunningPostgres> {
  const live = await findServer(port)
  const pid = live ?? (await launch())
  // One that was running may be about to recover.
  while (live !== null && !(await answers())) await sleep(25)
  const account = [user, password].map(encodeURIComponent).join(':')
  return {
    url: `postgresql://${account}@127.0.0.1:${port}/${encodeURIComponent(database)}`,
    pid,
    adopted: live !== null,
    stop: async () => {
      signal(pid, 'SIGINT')
      if (!(await waitForEnd(pid, 60_000)))
        throw new Error(`PostgreSQL in the container on port ${port} has been shutting down for 60 s`)
    },
  }

  async function launch(): Promise<number> {
    const folder = resolve(dataDir)
    await mkdir(folder, { recursive: true })
    // The image's user must come through it to what is its own.
    await chmod(folder, 0o755)
    // The proof that an idle service asks nothing needs it.
    const given = Object.entries({
      listen_addresses: '127.0.0.1',
      shared_preload_libraries: 'pg_stat_statements',
      ...settings,
    })
    return new ServerContainer(images[major], folder, '/data', port)
      .withEnvironment({
        PGDATA: '/data/postgres',
        // For the server, and for what fills a new folder.
        PGPORT: String(port),
        POSTGRES_USER: user,
        POSTGRES_PASSWORD: password,
        POSTGRES_DB: database,
      })
      .withCommand(['postgres', ...given.flatMap(([name, value]) => ['-c', `${name}=${value}`])])
      .run(answers)
  }

  async function answers(): Promise<boolean> {
    try {
      await ask({ port, user, password }, database, 'select 1')
      return true
    } catch (error) {
      if (isNotReady(error)) return false
      throw error
    }
  }
}
