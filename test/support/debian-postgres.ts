import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdir, rename, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Binaries } from '../../src/embedded/postgres/find-binaries.ts'

const folder = '/usr/lib/postgresql/15/bin'

/** Why a test that needs Debian's PostgreSQL is left out; false where it is installed. Goes to tap's `skip`. */
export const withoutDebianPostgres =
  !existsSync(join(folder, 'postgres')) && 'a stock PostgreSQL is not installed (Debian: postgresql-15)'

/** What dumps and restores its databases. */
export const debianPrograms = { pg_dump: join(folder, 'pg_dump'), pg_restore: join(folder, 'pg_restore') }

/**
 * What the embedded server is told otherwise goes back to what PostgreSQL ships with, so that a test meets what users run: the
 * compiler, parallel plans, small buffers, frequent checkpoints.
 */
export const stockSettings: Record<string, string> = {
  jit: 'on',
  max_parallel_workers_per_gather: '2',
  shared_buffers: '128MB',
  max_wal_size: '1GB',
  checkpoint_timeout: '5min',
}

/**
 * The programs of Debian's PostgreSQL 15. Its clusters sort text as a language does, as those of most servers do, and not by code
 * point.
 *
 * @throws a sentence where the package is not installed
 */
export async function findDebianPostgres(): Promise<Binaries> {
  if (withoutDebianPostgres !== false)
    throw new Error(`TEST_POSTGRES is debian, and ${withoutDebianPostgres}`)
  return { initdb: await makeInitdb(), postgres: join(folder, 'postgres') }
}

/** Of an option that is given twice initdb takes the last. */
async function makeInitdb(): Promise<string> {
  const place = join(tmpdir(), `tqp-debian-postgres-${process.getuid?.() ?? 'user'}`)
  await mkdir(place, { recursive: true })
  // PostgreSQL does not run as root, and nobody must reach it.
  await chmod(place, 0o755)
  const script = join(place, 'initdb')
  const written = `${script}.${randomUUID()}`
  const locale = '--locale=C.UTF-8 --locale-provider=icu --icu-locale=en-US'
  await writeFile(written, `#!/bin/sh\nexec ${folder}/initdb "$@" ${locale}\n`, { mode: 0o755 })
  // In one piece: several may come at once.
  await rename(written, script)
  return script
}
