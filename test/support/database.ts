import { createHash, randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import type { Test } from 'tap'
import { isAlive } from '../../src/embedded/postgres/process.ts'
import { makeSegments } from '../../src/log/server/make-segments.ts'
import { migrate } from '../../src/runtime/migrate.ts'
import { ensureTestPostgres } from './postgres.ts'

const migrationsFolder = fileURLToPath(new URL('../../migrations/', import.meta.url))

// As the service makes them by default.
const segmentMessages = 5_000_000

// Any fixed number: one for all test files, so that they make the template once.
const advisoryLock = 7_233_841_903

export interface TestDatabase {
  url: string
  pool: pg.Pool
}

/**
 * A database of the test's own, cloned from a migrated template, or with `empty` one without our schema. It is dropped
 * with whoever is still connected when the test ends.
 */
export async function database(t: Pick<Test, 'teardown'>, { empty = false } = {}): Promise<TestDatabase> {
  const adminUrl = await ensureTestPostgres()
  const name = `tqp_test_${process.pid}_${randomBytes(4).toString('hex')}`
  await asAdmin(adminUrl, async (admin) => {
    await admin.query('select pg_advisory_lock($1)', [advisoryLock])
    await dropLeftovers(admin)
    const template = empty ? 'template0' : await ensureTemplate(adminUrl, admin)
    await admin.query(`create database ${name} template ${template}`)
  })
  const url = withDatabase(adminUrl, name)
  const pool = new pg.Pool({ connectionString: url })
  // Tests end sessions on purpose; an idle client that loses its session emits this, and the pool replaces it.
  pool.on('error', () => undefined)
  t.teardown(async () => {
    await pool.end()
    await asAdmin(adminUrl, (admin) => admin.query(`drop database if exists ${name} with (force)`))
  })
  return { url, pool }
}

/** Built under another name and renamed when complete, so that a killed run leaves no half-migrated template. */
async function ensureTemplate(adminUrl: string, admin: pg.Client): Promise<string> {
  const template = `tqp_template_${await checksumMigrations()}`
  const found = await admin.query('select 1 from pg_database where datname = $1', [template])
  if (found.rowCount === 1) return template
  const building = 'tqp_template_building'
  for (const old of await findDatabases(admin, 'tqp_template_%'))
    await admin.query(`drop database ${old} with (force)`)
  await admin.query(`create database ${building} template template0`)
  await migrate({ connectionString: withDatabase(adminUrl, building) })
  await asAdmin(withDatabase(adminUrl, building), (owner) => makeSegments(owner, segmentMessages))
  await admin.query(`alter database ${building} rename to ${template}`)
  return template
}

async function checksumMigrations(): Promise<string> {
  const hash = createHash('sha256')
  const entries = await readdir(migrationsFolder, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  for (const path of paths.sort())
    hash
      .update(path.slice(migrationsFolder.length))
      .update('\0')
      .update(await readFile(path))
  return hash.digest('hex').slice(0, 16)
}

/** Databases of test files that were killed before their teardown. On a server of somebody else's, pids say nothing. */
async function dropLeftovers(admin: pg.Client): Promise<void> {
  if (process.env.TEST_DATABASE_URL) return
  for (const name of await findDatabases(admin, 'tqp_test_%')) {
    if (!isAlive(Number(name.split('_')[2])))
      await admin.query(`drop database if exists ${name} with (force)`)
  }
}

async function findDatabases(admin: pg.Client, pattern: string): Promise<string[]> {
  const { rows } = await admin.query<{ datname: string }>(
    'select datname from pg_database where datname like $1',
    [pattern],
  )
  return rows.map((row) => row.datname)
}

async function asAdmin(url: string, act: (admin: pg.Client) => Promise<unknown>): Promise<void> {
  const admin = new pg.Client({ connectionString: url })
  await admin.connect()
  try {
    await act(admin)
  } finally {
    await admin.end()
  }
}

function withDatabase(url: string, name: string): string {
  const changed = new URL(url)
  changed.pathname = `/${name}`
  return changed.href
}
