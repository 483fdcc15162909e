import { cp, mkdir, writeFile } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import type pg from 'pg'

/**
 * Copies a running server's data folder, together with the WAL that makes it whole, as pg_basebackup does, which does not come
 * with the embedded PostgreSQL. A server that is started on the copy stands where this one stood when the copy ended.
 */
export async function copyCluster(pool: pg.Pool, from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 })
  // Begin and end belong to one session.
  const client = await pool.connect()
  try {
    await client.query(`select pg_backup_start('copy', true)`)
    await cp(from, to, { recursive: true, filter: (path) => !isLeftOut(relative(from, path)) })
    const { rows } = await client.query<{ labelfile: string }>('select labelfile from pg_backup_stop(false)')
    await writeFile(join(to, 'backup_label'), rows[0]?.labelfile ?? '')
  } finally {
    client.release()
  }
  // A segment that is being made is not part of it yet.
  const isMade = (path: string) => !basename(path).startsWith('xlogtemp.')
  await cp(join(from, 'pg_wal'), join(to, 'pg_wal'), { recursive: true, filter: isMade })
}

/** What belongs to the running server, and what comes and goes while it is copied. The folders themselves are copied. */
function isLeftOut(path: string): boolean {
  return (
    path === 'pg_wal' ||
    /^(pg_dynshmem|pg_notify|pg_serial|pg_snapshots|pg_stat_tmp|pg_subtrans)\/./.test(path) ||
    /^(postmaster\.(pid|opts)|pgsql_tmp.*|pg_internal\.init.*)$/.test(basename(path))
  )
}
